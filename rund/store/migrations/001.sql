-- Operations, environments and sources are kept once per content; setups join them with a start's options.

CREATE TABLE operations (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 32),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environments (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 32),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setups (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 32),
    operation TEXT NOT NULL REFERENCES operations (digest),
    environment TEXT NOT NULL REFERENCES environments (digest),
    source TEXT,                                    -- a folder of the same name; NULL: run in place
    options TEXT NOT NULL                           -- JSON: commit, given, random_seed, slots, ...
) STRICT;

CREATE INDEX setups_operation ON setups (operation);
CREATE INDEX setups_environment ON setups (environment);
CREATE INDEX setups_source ON setups (source);

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

CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_tag ON tags (tag);

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

CREATE INDEX attempts_setup ON attempts (setup);

-- What a batch has besides what any run has.
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

-- The lists of trials that were committed: the present one, and for an hour those before it.
CREATE TABLE lists (
    batch INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    superseded REAL,                                -- when the next one was committed
    ids BLOB NOT NULL,                              -- 16 bytes each, in order
    PRIMARY KEY (batch, generation)
) STRICT, WITHOUT ROWID;

CREATE INDEX lists_superseded ON lists (superseded) WHERE superseded IS NOT NULL;

-- How many trials of each status each batch lists.
CREATE TABLE trial_counts (
    batch INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    status TEXT NOT NULL,
    runs INTEGER NOT NULL CHECK (runs >= 0),
    PRIMARY KEY (batch, status)
) STRICT, WITHOUT ROWID;

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

-- How many runs there are of each status, so that no listing counts a million rows.
CREATE TABLE counts (
    status TEXT NOT NULL,
    trash INTEGER NOT NULL CHECK (trash IN (0, 1)),
    runs INTEGER NOT NULL CHECK (runs >= 0),
    PRIMARY KEY (status, trash)
) STRICT, WITHOUT ROWID;

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

-- Numbered in the order of commits; a change of many runs is one event.
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

-- The first reply to each request that named itself.
CREATE TABLE replies (
    request_id TEXT PRIMARY KEY,
    time REAL NOT NULL,
    request TEXT NOT NULL,                          -- digest of method and params
    reply TEXT NOT NULL                             -- JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX replies_time ON replies (time);

-- What the daemon itself remembers: whether it is paused.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Attempt directories of purged runs that are still to be removed.
CREATE TABLE garbage (
    path TEXT PRIMARY KEY                           -- relative to the home
) STRICT, WITHOUT ROWID;
