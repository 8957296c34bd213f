-- A store of schema 1, as that version's daemon left it: `sqlite3 rund.db .dump`, with its two numbers added.
PRAGMA application_id = 1920298596;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attempts (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 1),
    token TEXT NOT NULL UNIQUE,
    setup INTEGER NOT NULL REFERENCES setups (key),
    flags TEXT NOT NULL CHECK (flags GLOB '{*}'),
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'error', 'terminated')),
    reason TEXT,
    started REAL NOT NULL,
    stopped REAL,
    exit_status INTEGER,
    signal INTEGER,
    place INTEGER NOT NULL,
    command TEXT NOT NULL,                          -- JSON: argv
    host TEXT,
    user TEXT,
    boot_id TEXT,
    max_rss INTEGER,                                -- bytes
    user_time REAL,                                 -- seconds
    system_time REAL,                               -- seconds
    scalars TEXT NOT NULL CHECK (scalars GLOB '{*}'),
    PRIMARY KEY (run, number),
    CHECK ((status = 'running') = (stopped IS NULL)),
    CHECK (status <> 'completed' OR exit_status IS 0)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempts" VALUES(1,1,'42c99a3089644e08ba5ff3f95ecb5464-1',1,'{"x":1.0,"y":2,"z":"a"}','completed',NULL,1.79600839859523701671e+09,1.79600839861136341089e+09,0,NULL,1,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9351168,0.010459,0.005229,'{"loss":0.25}');
INSERT INTO "attempts" VALUES(3,1,'ee197aeb4a804a5d939c40ccd2bf323d-1',2,'{"x":1.0,"y":2,"z":"a"}','completed',NULL,1.79600839867915868753e+09,1.79600839869913649557e+09,0,NULL,3,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9351168,0.010353,0.005176,'{"loss":0.25}');
INSERT INTO "attempts" VALUES(4,1,'e55eb32226c94ac78e04d910662b2d2a-1',2,'{"x":1.0,"y":3,"z":"a"}','completed',NULL,1.79600839868579912183e+09,1.79600839871926021579e+09,0,NULL,4,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9363456,0.007423,1.48469999999999990869e-02,'{"loss":0.25}');
INSERT INTO "attempts" VALUES(5,1,'2b87db8e19f845a48836137f5fa50792-1',2,'{"x":2.0,"y":2,"z":"a"}','completed',NULL,1.79600839871805286404e+09,1.79600839874145507815e+09,0,NULL,5,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9379840,0.013391,3.34699999999999971492e-03,'{"loss":0.25}');
INSERT INTO "attempts" VALUES(6,1,'7a8e9cbc11314073b7aaeb82be92b361-1',2,'{"x":2.0,"y":3,"z":"a"}','completed',NULL,1.79600839873623561865e+09,1.79600839875666236878e+09,0,NULL,6,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9371648,6.67999999999999930638e-03,0.01002,'{"loss":0.25}');
INSERT INTO "attempts" VALUES(7,1,'7837b796098740e5ae6a4afad6e6ecf8-1',3,'{"n":3}','error','exit 3',1.79600839886667156212e+09,1.79600839888960838322e+09,3,NULL,11,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/fail.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9363456,1.81799999999999982447e-02,3.63799999999999974092e-03,'{}');
INSERT INTO "attempts" VALUES(7,2,'7837b796098740e5ae6a4afad6e6ecf8-2',4,'{"n":0}','completed',NULL,1.79600839894040966034e+09,1.79600839895784378046e+09,0,NULL,13,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/fail.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9388032,0.012832,4.27699999999999955213e-03,'{}');
INSERT INTO "attempts" VALUES(9,1,'e8d201789563424fb34620c5ab2abd3f-1',6,'{"x":1.0,"y":2,"z":"gone"}','completed',NULL,1.79600839903920221326e+09,1.79600839906252527236e+09,0,NULL,15,'["/usr/bin/python3","/usr/lib/python3/rund/operations/bootstrap/rund_script.py","/home/user/home/sources/3c274279b43f89ed09e4e7e33dca2b8e6308a87e/echo.py"]','machine','user','5d0b7ff9-7d64-4729-9c80-0616dd329a8d',9367552,0.01754,0.004385,'{"loss":0.25}');
CREATE TABLE batches (
    run INTEGER PRIMARY KEY REFERENCES runs (key) ON DELETE CASCADE,
    prototype TEXT NOT NULL,                        -- JSON: what its trials are generated from; it may be large
    optimizer TEXT NOT NULL,                        -- and these of it apart, for they are asked for often
    max_trials INTEGER,
    jobs INTEGER,
    retries INTEGER NOT NULL,
    fail_fast INTEGER NOT NULL CHECK (fail_fast IN (0, 1)),
    stopped INTEGER NOT NULL CHECK (stopped IN (0, 1)), -- by stop, since its last restart or start
    paused INTEGER NOT NULL CHECK (paused IN (0, 1))
) STRICT;
INSERT INTO "batches" VALUES(2,'{"space":"{\"fixed\":{\"z\":\"a\"},\"order\":[\"x\",\"y\",\"z\"],\"varying\":{\"x\":{\"choices\":[1.0,2.0],\"text\":\"[1.0,2.0]\"},\"y\":{\"choices\":[2,3],\"text\":\"[2,3]\"}}}","rows":null,"optimizer":"grid","optimizer_named":false,"max_trials":null,"jobs":null,"retries":0,"fail_fast":false}','grid',NULL,NULL,0,0,0,0);
INSERT INTO "batches" VALUES(10,'{"space":"{\"fixed\":{\"x\":NaN,\"z\":\"a\"},\"order\":[\"x\",\"y\",\"z\"],\"varying\":{\"y\":{\"uniform\":[1,9],\"text\":\"[1:9]\"}}}","rows":null,"optimizer":"random","optimizer_named":false,"max_trials":3,"jobs":null,"retries":0,"fail_fast":false}','random',3,NULL,0,0,0,0);
CREATE TABLE counts (
    status TEXT NOT NULL,
    trash INTEGER NOT NULL CHECK (trash IN (0, 1)),
    runs INTEGER NOT NULL CHECK (runs >= 0),
    PRIMARY KEY (status, trash)
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('completed',0,7);
INSERT INTO "counts" VALUES('completed',1,1);
INSERT INTO "counts" VALUES('error',0,0);
INSERT INTO "counts" VALUES('pending',0,1);
INSERT INTO "counts" VALUES('running',0,0);
INSERT INTO "counts" VALUES('staged',0,5);
CREATE TABLE environments (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 32),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "environments" VALUES('f246689eb6491323b74acc362d97bdce','{"HOME": "/home/user", "PATH": "/usr/bin:/usr/bin:/bin", "RUND_HOME": "/home/user/home", "XDG_RUNTIME_DIR": "/home/user/run", "LANG": "C.UTF-8"}');
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    runs TEXT NOT NULL,                             -- JSON: ids
    status TEXT,
    reason TEXT,
    batch TEXT,
    generation INTEGER
) STRICT;
INSERT INTO "events" VALUES(1,1.79600839854748034474e+09,'created','["42c99a3089644e08ba5ff3f95ecb5464"]','pending',NULL,NULL,NULL);
INSERT INTO "events" VALUES(2,1.7960083985554697514e+09,'started','["42c99a3089644e08ba5ff3f95ecb5464"]','running',NULL,NULL,NULL);
INSERT INTO "events" VALUES(3,1.79600839861567568777e+09,'ended','["42c99a3089644e08ba5ff3f95ecb5464"]','completed',NULL,NULL,NULL);
INSERT INTO "events" VALUES(4,1.79600839866386723523e+09,'created','["ee197aeb4a804a5d939c40ccd2bf323d","e55eb32226c94ac78e04d910662b2d2a","2b87db8e19f845a48836137f5fa50792","7a8e9cbc11314073b7aaeb82be92b361"]','pending',NULL,'f8675dea7ff34cd59878f6f21f8c822a',1);
INSERT INTO "events" VALUES(5,1.79600839866386723523e+09,'trials','["f8675dea7ff34cd59878f6f21f8c822a"]',NULL,NULL,'f8675dea7ff34cd59878f6f21f8c822a',1);
INSERT INTO "events" VALUES(6,1.79600839866386723523e+09,'queued','["f8675dea7ff34cd59878f6f21f8c822a"]','running',NULL,NULL,NULL);
INSERT INTO "events" VALUES(7,1.7960083986730070114e+09,'started','["ee197aeb4a804a5d939c40ccd2bf323d","e55eb32226c94ac78e04d910662b2d2a"]','running',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(8,1.79600839870289468768e+09,'ended','["ee197aeb4a804a5d939c40ccd2bf323d"]','completed',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(9,1.79600839870532965657e+09,'started','["2b87db8e19f845a48836137f5fa50792"]','running',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(10,1.79600839872623443604e+09,'ended','["e55eb32226c94ac78e04d910662b2d2a"]','completed',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(11,1.79600839872980070112e+09,'started','["7a8e9cbc11314073b7aaeb82be92b361"]','running',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(12,1.79600839874502348899e+09,'ended','["2b87db8e19f845a48836137f5fa50792"]','completed',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(13,1.79600839876076364513e+09,'ended','["7a8e9cbc11314073b7aaeb82be92b361"]','completed',NULL,'f8675dea7ff34cd59878f6f21f8c822a',NULL);
INSERT INTO "events" VALUES(14,1.7960083987612986564e+09,'ended','["f8675dea7ff34cd59878f6f21f8c822a"]','completed',NULL,NULL,NULL);
INSERT INTO "events" VALUES(15,1.7960083988524234295e+09,'created','["7837b796098740e5ae6a4afad6e6ecf8"]','pending',NULL,NULL,NULL);
INSERT INTO "events" VALUES(16,1.79600839885841941836e+09,'started','["7837b796098740e5ae6a4afad6e6ecf8"]','running',NULL,NULL,NULL);
INSERT INTO "events" VALUES(17,1.79600839889324235916e+09,'ended','["7837b796098740e5ae6a4afad6e6ecf8"]','error','exit 3',NULL,NULL);
INSERT INTO "events" VALUES(18,1.79600839892833542823e+09,'queued','["7837b796098740e5ae6a4afad6e6ecf8"]','pending',NULL,NULL,NULL);
INSERT INTO "events" VALUES(19,1.79600839893329596516e+09,'started','["7837b796098740e5ae6a4afad6e6ecf8"]','running',NULL,NULL,NULL);
INSERT INTO "events" VALUES(20,1.79600839896235823633e+09,'ended','["7837b796098740e5ae6a4afad6e6ecf8"]','completed',NULL,NULL,NULL);
INSERT INTO "events" VALUES(21,1.79600839899573636059e+09,'created','["cb6278e4fb1948f08419ee067d79ed38"]','staged',NULL,NULL,NULL);
INSERT INTO "events" VALUES(22,1.7960083990277938842e+09,'created','["e8d201789563424fb34620c5ab2abd3f"]','pending',NULL,NULL,NULL);
INSERT INTO "events" VALUES(23,1.79600839903068828585e+09,'started','["e8d201789563424fb34620c5ab2abd3f"]','running',NULL,NULL,NULL);
INSERT INTO "events" VALUES(24,1.79600839906597566607e+09,'ended','["e8d201789563424fb34620c5ab2abd3f"]','completed',NULL,NULL,NULL);
INSERT INTO "events" VALUES(25,1.79600839909530091281e+09,'deleted','["e8d201789563424fb34620c5ab2abd3f"]',NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(26,1.79600839912485384943e+09,'created','["dfec3bd329964b45bb7af79454582ae9","67d7fb80d0694495812d7206a8ad0eb6","b40c2aea5a184abc884e1193f909c27d"]','staged',NULL,'7e002c92fd224d5a8e6b224a5a748cbc',1);
INSERT INTO "events" VALUES(27,1.79600839912485384943e+09,'trials','["7e002c92fd224d5a8e6b224a5a748cbc"]',NULL,NULL,'7e002c92fd224d5a8e6b224a5a748cbc',1);
INSERT INTO "events" VALUES(28,1.79600839912485384943e+09,'ended','["7e002c92fd224d5a8e6b224a5a748cbc"]','staged',NULL,NULL,NULL);
INSERT INTO "events" VALUES(29,1.79600839915473222728e+09,'paused','[]',NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(30,1.79600839919148731228e+09,'created','["3947e89f84f146bdb294447f7eac1a92"]','pending',NULL,NULL,NULL);
CREATE TABLE garbage (
    path TEXT PRIMARY KEY                           -- relative to the home
) STRICT, WITHOUT ROWID;
CREATE TABLE lists (
    batch INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    superseded REAL,                                -- when the next one was committed
    ids BLOB NOT NULL,                              -- 16 bytes each, in order
    PRIMARY KEY (batch, generation)
) STRICT, WITHOUT ROWID;
INSERT INTO "lists" VALUES(2,1,NULL,X'EE197AEB4A804A5D939C40CCD2BF323DE55EB32226C94AC78E04D910662B2D2A2B87DB8E19F845A48836137F5FA507927A8E9CBC11314073B7AAEB82BE92B361');
INSERT INTO "lists" VALUES(10,1,NULL,X'DFEC3BD329964B45BB7AF79454582AE967D7FB80D0694495812D7206A8AD0EB6B40C2AEA5A184ABC884E1193F909C27D');
CREATE TABLE operations (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 32),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "operations" VALUES('018800875f23a8c7dd262f47d44a5bb1','{"arguments":[],"cwd":"/home/user/proj","entry":"fail.py","flags":[{"choices":null,"declared":false,"default":3,"name":"n","nargs":null,"option":null,"passing":"literal","required":false,"type":"int"}],"kind":"python","name":"fail.py","project_dir":"/home/user/proj","target":"/home/user/proj/fail.py"}');
INSERT INTO "operations" VALUES('610dc5f7a080d8722645c3ae89503b56','{"arguments":[],"cwd":"/home/user/proj","entry":"echo.py","flags":[{"choices":null,"declared":false,"default":1.0,"name":"x","nargs":null,"option":null,"passing":"literal","required":false,"type":"float"},{"choices":null,"declared":false,"default":2,"name":"y","nargs":null,"option":null,"passing":"literal","required":false,"type":"int"},{"choices":null,"declared":false,"default":"a","name":"z","nargs":null,"option":null,"passing":"literal","required":false,"type":"str"}],"kind":"python","name":"echo.py","project_dir":"/home/user/proj","target":"/home/user/proj/echo.py"}');
CREATE TABLE replies (
    request_id TEXT PRIMARY KEY,
    time REAL NOT NULL,
    request TEXT NOT NULL,                          -- digest of method and params
    reply TEXT NOT NULL                             -- JSON
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
    operation TEXT NOT NULL,                        -- the name, as users see it
    setup INTEGER NOT NULL REFERENCES setups (key),
    flags TEXT NOT NULL CHECK (flags GLOB '{*}'),   -- JSON, with NaN and Infinity
    flags_key BLOB NOT NULL CHECK (length(flags_key) = 16),  -- equal for equal typed flags
    status TEXT NOT NULL
        CHECK (status IN ('staged', 'pending', 'running', 'completed', 'error', 'terminated')),
    reason TEXT,
    label TEXT,
    created REAL NOT NULL,
    queued REAL,
    place INTEGER,
    priority INTEGER NOT NULL,
    started REAL,
    stopped REAL,
    exit_status INTEGER,
    signal INTEGER,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    starts INTEGER NOT NULL CHECK (starts >= attempts),
    scalars TEXT NOT NULL CHECK (scalars GLOB '{*}'),
    stopping INTEGER NOT NULL CHECK (stopping IN (0, 1)),
    next_setup INTEGER REFERENCES setups (key),
    next_flags TEXT CHECK (next_flags GLOB '{*}'),
    deleted REAL,
    listed REAL NOT NULL,                           -- the time that orders listings
    made_by INTEGER REFERENCES runs (key) ON DELETE SET NULL,  -- the batch that made it
    batch INTEGER REFERENCES runs (key) ON DELETE SET NULL,    -- the batch that lists it
    position INTEGER,                               -- in that batch's trials
    retried INTEGER NOT NULL,                       -- times that it was started again by itself since its restart
    generation INTEGER CHECK (generation >= 0),     -- of a batch's trials; NULL: it is no batch
    CHECK ((next_setup IS NULL) = (next_flags IS NULL)),
    CHECK (next_setup IS NULL OR stopping = 1),
    CHECK (deleted IS NULL OR status NOT IN ('pending', 'running')),
    CHECK ((batch IS NULL) = (position IS NULL)),
    CHECK (batch IS NULL OR deleted IS NULL),
    CHECK (stopping = 0 OR status = 'running'),
    -- A single run or a trial:
    CHECK (generation IS NOT NULL OR (status = 'pending') = (place IS NOT NULL)),
    CHECK (generation IS NOT NULL OR (status = 'pending') = (queued IS NOT NULL)),
    CHECK (generation IS NOT NULL OR status <> 'staged' OR attempts = 0),
    CHECK (generation IS NOT NULL OR status IN ('staged', 'pending') OR attempts > 0),
    CHECK (generation IS NOT NULL OR status <> 'completed' OR exit_status IS 0),
    -- A batch, whose status is that of its trials:
    CHECK (generation IS NULL OR (attempts = 0 AND place IS NULL AND batch IS NULL AND status <> 'pending'))
) STRICT;
INSERT INTO "runs" VALUES(1,'42c99a3089644e08ba5ff3f95ecb5464','echo.py',1,'{"x":1.0,"y":2,"z":"a"}',X'21B80363C02272A00D4637E5E12300D3','completed',NULL,'first',1.79600839854748034474e+09,NULL,NULL,0,1.79600839859523701671e+09,1.79600839861136341089e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,NULL,1.79600839859523701671e+09,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(2,'f8675dea7ff34cd59878f6f21f8c822a','echo.py+',2,'{"x":[1.0,2.0],"y":[2,3],"z":"a"}',X'70F3E2695037289A53BF5C0AF7251583','completed',NULL,NULL,1.79600839866386723523e+09,NULL,NULL,0,1.79600839866386723523e+09,1.7960083987612986564e+09,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839866386723523e+09,NULL,NULL,NULL,0,1);
INSERT INTO "runs" VALUES(3,'ee197aeb4a804a5d939c40ccd2bf323d','echo.py',2,'{"x":1.0,"y":2,"z":"a"}',X'21B80363C02272A00D4637E5E12300D3','completed',NULL,NULL,1.79600839866386723523e+09,NULL,NULL,0,1.79600839867915868753e+09,1.79600839869913649557e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,NULL,1.79600839867915868753e+09,2,2,0,0,NULL);
INSERT INTO "runs" VALUES(4,'e55eb32226c94ac78e04d910662b2d2a','echo.py',2,'{"x":1.0,"y":3,"z":"a"}',X'6B165575A6F328C3F6AD8A186597EF3E','completed',NULL,NULL,1.79600839866386723523e+09,NULL,NULL,0,1.79600839868579912183e+09,1.79600839871926021579e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,NULL,1.79600839868579912183e+09,2,2,1,0,NULL);
INSERT INTO "runs" VALUES(5,'2b87db8e19f845a48836137f5fa50792','echo.py',2,'{"x":2.0,"y":2,"z":"a"}',X'2052CCE8A9AC41BC8844F05A0FE17049','completed',NULL,NULL,1.79600839866386723523e+09,NULL,NULL,0,1.79600839871805286404e+09,1.79600839874145507815e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,NULL,1.79600839871805286404e+09,2,2,2,0,NULL);
INSERT INTO "runs" VALUES(6,'7a8e9cbc11314073b7aaeb82be92b361','echo.py',2,'{"x":2.0,"y":3,"z":"a"}',X'F394603F9F93F354C24A94FD171DF17A','completed',NULL,NULL,1.79600839866386723523e+09,NULL,NULL,0,1.79600839873623561865e+09,1.79600839875666236878e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,NULL,1.79600839873623561865e+09,2,2,3,0,NULL);
INSERT INTO "runs" VALUES(7,'7837b796098740e5ae6a4afad6e6ecf8','fail.py',4,'{"n":0}',X'1DEE4F02EEBBD17CC69382FC00ACEB4C','completed',NULL,NULL,1.7960083988524234295e+09,NULL,NULL,0,1.79600839894040966034e+09,1.79600839895784378046e+09,0,NULL,2,2,'{}',0,NULL,NULL,NULL,1.79600839894040966034e+09,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(8,'cb6278e4fb1948f08419ee067d79ed38','echo.py',5,'{"x":5.0,"y":2,"z":"a"}',X'02A265BAA9A23F54E8B87F67C438A99E','staged',NULL,NULL,1.79600839899573636059e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839899573636059e+09,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(9,'e8d201789563424fb34620c5ab2abd3f','echo.py',6,'{"x":1.0,"y":2,"z":"gone"}',X'11E697D58851AA423B9E6EB5F7AC1C1F','completed',NULL,NULL,1.7960083990277938842e+09,NULL,NULL,0,1.79600839903920221326e+09,1.79600839906252527236e+09,0,NULL,1,1,'{"loss":0.25}',0,NULL,NULL,1.79600839909530091281e+09,1.79600839903920221326e+09,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(10,'7e002c92fd224d5a8e6b224a5a748cbc','echo.py+',7,'{"x":NaN,"y":"[1:9]","z":"a"}',X'BF1D0D289DB9504A14E6F63AF229CDE9','staged',NULL,NULL,1.79600839912485384943e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839912485384943e+09,NULL,NULL,NULL,0,1);
INSERT INTO "runs" VALUES(11,'dfec3bd329964b45bb7af79454582ae9','echo.py',7,'{"x":NaN,"y":5,"z":"a"}',X'204C5C5EA28109E2E103152F0019A391','staged',NULL,NULL,1.79600839912485384943e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839912485384943e+09,10,10,0,0,NULL);
INSERT INTO "runs" VALUES(12,'67d7fb80d0694495812d7206a8ad0eb6','echo.py',7,'{"x":NaN,"y":7,"z":"a"}',X'7C7BAD14104799626F9D95810C74A2FC','staged',NULL,NULL,1.79600839912485384943e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839912485384943e+09,10,10,1,0,NULL);
INSERT INTO "runs" VALUES(13,'b40c2aea5a184abc884e1193f909c27d','echo.py',7,'{"x":NaN,"y":9,"z":"a"}',X'E7C7899D7149BF22E6FA25EB8C42C3D0','staged',NULL,NULL,1.79600839912485384943e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839912485384943e+09,10,10,2,0,NULL);
INSERT INTO "runs" VALUES(14,'3947e89f84f146bdb294447f7eac1a92','echo.py',8,'{"x":1.0,"y":2,"z":"waits"}',X'D08BA99D677A934D3317FC70441969C4','pending',NULL,NULL,1.79600839919148731228e+09,1.79600839919148731228e+09,20,0,NULL,NULL,NULL,NULL,0,0,'{}',0,NULL,NULL,NULL,1.79600839919148731228e+09,NULL,NULL,NULL,0,NULL);
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('paused','true');
CREATE TABLE setups (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 32),
    operation TEXT NOT NULL REFERENCES operations (digest),
    environment TEXT NOT NULL REFERENCES environments (digest),
    source TEXT,                                    -- a folder of the same name; NULL: run in place
    options TEXT NOT NULL                           -- JSON: commit, given, random_seed, slots, ...
) STRICT;
INSERT INTO "setups" VALUES(1,'c9072f07a1debd09f41fb4c0055fc285','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":[],"random_seed":4159382416,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(2,'6d445ce83633173e7c898dfb32cc262e','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["x","y"],"random_seed":7,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(3,'eb230704a3faaa936fe2e8ce0f496f40','018800875f23a8c7dd262f47d44a5bb1','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":[],"random_seed":3358062898,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(4,'23441f278e7b340266718caa2257a545','018800875f23a8c7dd262f47d44a5bb1','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["n"],"random_seed":3358062898,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(5,'58af5887213aab1d0a3fa5ed4a1a7a76','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["x"],"random_seed":2954465002,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(6,'3cedb7cf9bde7f51001c89f6614a06f1','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["z"],"random_seed":2349243200,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(7,'642384233f30cf565a8734fee4856b8b','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["x","y"],"random_seed":5,"slots":1,"priority":0,"inputs":[],"clean":false}');
INSERT INTO "setups" VALUES(8,'f67e69ef3e172c983a650063d11a5a05','610dc5f7a080d8722645c3ae89503b56','f246689eb6491323b74acc362d97bdce','3c274279b43f89ed09e4e7e33dca2b8e6308a87e','{"commit":null,"given":["z"],"random_seed":3870626418,"slots":1,"priority":0,"inputs":[],"clean":false}');
CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;
INSERT INTO "tags" VALUES(1,'keep');
CREATE TABLE trial_counts (
    batch INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    status TEXT NOT NULL,
    runs INTEGER NOT NULL CHECK (runs >= 0),
    PRIMARY KEY (batch, status)
) STRICT, WITHOUT ROWID;
INSERT INTO "trial_counts" VALUES(2,'completed',4);
INSERT INTO "trial_counts" VALUES(2,'pending',0);
INSERT INTO "trial_counts" VALUES(2,'running',0);
INSERT INTO "trial_counts" VALUES(10,'staged',3);
CREATE INDEX setups_operation ON setups (operation);
CREATE INDEX setups_environment ON setups (environment);
CREATE INDEX setups_source ON setups (source);
CREATE INDEX runs_listed ON runs (listed DESC, key DESC) WHERE deleted IS NULL;
CREATE INDEX runs_trash ON runs (listed DESC, key DESC) WHERE deleted IS NOT NULL;
CREATE INDEX runs_status ON runs (status, listed DESC, key DESC) WHERE deleted IS NULL;
CREATE INDEX runs_operation ON runs (operation, listed DESC, key DESC) WHERE deleted IS NULL;
CREATE INDEX runs_label ON runs (label, listed DESC, key DESC) WHERE deleted IS NULL AND label IS NOT NULL;
CREATE INDEX runs_queue ON runs (batch, priority DESC, place) WHERE status = 'pending';
CREATE INDEX runs_running ON runs (key) WHERE status = 'running' AND generation IS NULL;
CREATE INDEX runs_completed ON runs (flags_key) WHERE status = 'completed' AND deleted IS NULL;
CREATE INDEX runs_trials ON runs (batch, position) WHERE batch IS NOT NULL;
CREATE INDEX runs_trials_status ON runs (batch, status, position) WHERE batch IS NOT NULL;
CREATE INDEX runs_orphans ON runs (listed DESC, key DESC) WHERE made_by IS NOT NULL AND batch IS NULL AND deleted IS NULL;
CREATE INDEX runs_batches ON runs (flags_key) WHERE generation IS NOT NULL AND deleted IS NULL;
CREATE INDEX runs_made_by ON runs (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX runs_setup ON runs (setup);
CREATE INDEX runs_next_setup ON runs (next_setup) WHERE next_setup IS NOT NULL;
CREATE INDEX tags_tag ON tags (tag);
CREATE INDEX attempts_setup ON attempts (setup);
CREATE INDEX lists_superseded ON lists (superseded) WHERE superseded IS NOT NULL;
CREATE INDEX trial_counts_pending ON trial_counts (batch) WHERE status = 'pending' AND runs > 0;
CREATE TRIGGER count_trial_insert AFTER INSERT ON runs WHEN new.batch IS NOT NULL BEGIN
    INSERT INTO trial_counts VALUES (new.batch, new.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER count_trial_delete AFTER DELETE ON runs WHEN old.batch IS NOT NULL BEGIN
    UPDATE trial_counts SET runs = runs - 1 WHERE batch = old.batch AND status = old.status;
END;
CREATE TRIGGER count_trial_leave AFTER UPDATE OF status, batch ON runs
WHEN old.batch IS NOT NULL AND (old.status <> new.status OR old.batch IS NOT new.batch) BEGIN
    UPDATE trial_counts SET runs = runs - 1 WHERE batch = old.batch AND status = old.status;
END;
CREATE TRIGGER count_trial_join AFTER UPDATE OF status, batch ON runs
WHEN new.batch IS NOT NULL AND (old.status <> new.status OR old.batch IS NOT new.batch) BEGIN
    INSERT INTO trial_counts VALUES (new.batch, new.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER count_insert AFTER INSERT ON runs BEGIN
    INSERT INTO counts VALUES (new.status, new.deleted IS NOT NULL, 1)
        ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER count_delete AFTER DELETE ON runs BEGIN
    UPDATE counts SET runs = runs - 1 WHERE status = old.status AND trash = (old.deleted IS NOT NULL);
END;
CREATE TRIGGER count_update AFTER UPDATE OF status, deleted ON runs
WHEN old.status <> new.status OR (old.deleted IS NULL) <> (new.deleted IS NULL) BEGIN
    UPDATE counts SET runs = runs - 1 WHERE status = old.status AND trash = (old.deleted IS NOT NULL);
    INSERT INTO counts VALUES (new.status, new.deleted IS NOT NULL, 1)
        ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE INDEX replies_time ON replies (time);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('setups',8);
INSERT INTO "sqlite_sequence" VALUES('runs',14);
INSERT INTO "sqlite_sequence" VALUES('events',30);
COMMIT;
