-- Named queries: a name, why it is as it is, and the statement.

-- name: run_columns
-- What `codec.run_from_row` reads, in this order; a fragment, not a statement.
r.id, r.operation, r.setup, r.flags, r.status, r.reason, r.label, r.created, r.queued, r.place, r.started,
r.stopped, r.exit_status, r.signal, r.attempts, r.starts, r.scalars, r.stopping, r.next_setup, r.next_flags,
r.deleted, (SELECT json_group_array(tag) FROM tags WHERE run = r.key),
(SELECT id FROM runs WHERE key = r.made_by), (SELECT id FROM runs WHERE key = r.batch), r.position, r.retried,
r.generation, r.damage, r.listed, r.key

-- name: attempt_columns
-- What `codec.attempt_from_row` reads, in this order; a fragment, not a statement.
a.number, a.token, a.setup, a.flags, a.status, a.reason, a.started, a.stopped, a.exit_status, a.signal, a.place,
a.command, a.host, a.user, a.boot_id, a.max_rss, a.user_time, a.system_time, a.scalars

-- name: insert_run
INSERT INTO runs (
    id, operation, setup, flags, flags_key, status, reason, label, created, queued, place, priority, started,
    stopped, exit_status, signal, attempts, starts, scalars, stopping, next_setup, next_flags, deleted, listed,
    made_by, batch, position, retried, generation
) VALUES (
    :id, :operation, :setup, :flags, :flags_key, :status, :reason, :label, :created, :queued, :place, :priority,
    :started, :stopped, :exit_status, :signal, :attempts, :starts, :scalars, :stopping, :next_setup, :next_flags,
    :deleted, :listed, (SELECT key FROM runs WHERE id = :made_by), (SELECT key FROM runs WHERE id = :batch),
    :position, :retried, :generation
)

-- name: update_run
UPDATE runs SET
    operation = :operation, setup = :setup, flags = :flags, flags_key = :flags_key, status = :status,
    reason = :reason, label = :label, queued = :queued, place = :place, priority = :priority, started = :started,
    stopped = :stopped, exit_status = :exit_status, signal = :signal, attempts = :attempts, starts = :starts,
    scalars = :scalars, stopping = :stopping, next_setup = :next_setup, next_flags = :next_flags,
    deleted = :deleted, listed = :listed, batch = (SELECT key FROM runs WHERE id = :batch), position = :position,
    retried = :retried, generation = :generation
WHERE id = :id

-- name: update_damaged_run
-- Its state alone: what cannot be read of it stays as it is.
UPDATE runs SET
    status = :status, reason = :reason, label = :label, queued = :queued, place = :place, started = :started,
    stopped = :stopped, exit_status = :exit_status, signal = :signal, attempts = :attempts, starts = :starts,
    stopping = :stopping, next_setup = NULL, next_flags = NULL, deleted = :deleted, listed = :listed,
    batch = (SELECT key FROM runs WHERE id = :batch), position = :position, retried = :retried,
    generation = :generation
WHERE id = :id

-- name: end_attempt
UPDATE attempts SET
    status = :status, reason = :reason, started = :started, stopped = :stopped, exit_status = :exit_status,
    signal = :signal, max_rss = :max_rss, user_time = :user_time, system_time = :system_time, scalars = :scalars
WHERE run = (SELECT key FROM runs WHERE id = :run) AND number = :number

-- name: update_damaged_attempt
UPDATE attempts SET
    status = :status, reason = :reason, stopped = :stopped, exit_status = :exit_status, signal = :signal,
    max_rss = :max_rss, user_time = :user_time, system_time = :system_time
WHERE run = (SELECT key FROM runs WHERE id = :run) AND number = :number

-- name: save_attempt
INSERT INTO attempts (
    run, number, token, setup, flags, status, reason, started, stopped, exit_status, signal, place, command, host,
    user, boot_id, max_rss, user_time, system_time, scalars
) VALUES (
    (SELECT key FROM runs WHERE id = :run), :number, :token, :setup, :flags, :status, :reason, :started, :stopped,
    :exit_status, :signal, :place, :command, :host, :user, :boot_id, :max_rss, :user_time, :system_time, :scalars
)
ON CONFLICT (run, number) DO UPDATE SET
    status = excluded.status, reason = excluded.reason, started = excluded.started, stopped = excluded.stopped,
    exit_status = excluded.exit_status, signal = excluded.signal, command = excluded.command,
    max_rss = excluded.max_rss, user_time = excluded.user_time, system_time = excluded.system_time,
    scalars = excluded.scalars

-- name: rooms
-- Batches with pending trials: how many may run at once, how many run, and whether they are paused.  Of one whose own part
-- is lost the trials go on.
SELECT c.batch, b.jobs,
    coalesce((SELECT r.runs FROM trial_counts AS r WHERE r.batch = c.batch AND r.status = 'running'), 0), coalesce(b.paused, 0)
FROM trial_counts AS c LEFT JOIN batches AS b ON b.run = c.batch WHERE c.status = 'pending' AND c.runs > 0

-- name: save_batch
INSERT INTO batches (run, prototype, optimizer, max_trials, jobs, retries, fail_fast, stopped, paused)
VALUES (
    (SELECT key FROM runs WHERE id = :run), :prototype, :optimizer, :max_trials, :jobs, :retries, :fail_fast, :stopped,
    :paused
)
ON CONFLICT (run) DO UPDATE SET
    prototype = excluded.prototype, optimizer = excluded.optimizer, max_trials = excluded.max_trials,
    jobs = excluded.jobs, retries = excluded.retries, fail_fast = excluded.fail_fast, stopped = excluded.stopped,
    paused = excluded.paused

-- name: insert_trial
-- As insert_run, but its batch is a key: a hundred thousand need not look for it.
INSERT INTO runs (
    id, operation, setup, flags, flags_key, status, reason, label, created, queued, place, priority, started,
    stopped, exit_status, signal, attempts, starts, scalars, stopping, next_setup, next_flags, deleted, listed,
    made_by, batch, position, retried, generation
) VALUES (
    :id, :operation, :setup, :flags, :flags_key, :status, :reason, :label, :created, :queued, :place, :priority,
    :started, :stopped, :exit_status, :signal, :attempts, :starts, :scalars, :stopping, :next_setup, :next_flags,
    :deleted, :listed, :made_by, :batch, :position, :retried, :generation
)

-- name: queue_trial
-- What `rund.engine.lifecycle.queue` makes of a run, for a hundred thousand at once; its flags stay as they are.
UPDATE runs SET
    setup = ?, priority = ?, status = 'pending', reason = NULL, queued = ?, listed = ?,
    place = ?, started = NULL, stopped = NULL, exit_status = NULL, signal = NULL, scalars = '{}', retried = 0,
    batch = ?, position = ?
WHERE id = ?

-- name: staged_trials
SELECT id, position FROM runs WHERE batch = ? AND status = 'staged' ORDER BY position

-- name: queue_staged
-- The same of the staged trials of a batch, which keep their setups too.
UPDATE runs SET
    status = 'pending', reason = NULL, queued = :now, listed = :now, place = :first + position, started = NULL,
    stopped = NULL, exit_status = NULL, signal = NULL, scalars = '{}', retried = 0
WHERE batch = :batch AND status = 'staged'

-- name: withdrawable
-- Of each run that is to be withdrawn: its key, id and batch, the status of its last attempt, and whether it will show
-- the flags that it shows now, of the same operation; not so, or NULL, for those that run and those that are damaged.
SELECT r.key, r.id, (SELECT id FROM runs WHERE key = r.batch), a.status,
    r.status = 'pending' AND (r.attempts = 0 OR (
        a.status <> 'running' AND a.flags = r.flags AND (a.setup = r.setup OR was.operation = present.operation)
    ))
FROM runs AS r LEFT JOIN attempts AS a ON a.run = r.key AND a.number = r.attempts
LEFT JOIN setups AS present ON present.key = r.setup LEFT JOIN setups AS was ON was.key = a.setup
WHERE r.id IN (SELECT value FROM json_each(?))

-- name: withdraw_unstarted
-- What `rund.engine.lifecycle.withdraw` makes of a run that has no attempt.
UPDATE runs SET status = 'staged', reason = :reason, queued = NULL, place = NULL, listed = created
WHERE key IN (SELECT value FROM json_each(:keys))

-- name: withdraw_started
-- What it makes of one that has: its last attempt's flags are those that it shows.
UPDATE runs SET
    setup = a.setup, priority = (SELECT json_extract(options, '$.priority') FROM setups WHERE key = a.setup), status = a.status,
    reason = a.reason, queued = NULL, place = NULL, started = a.started, stopped = a.stopped,
    exit_status = a.exit_status, signal = a.signal, scalars = a.scalars, listed = a.started
FROM attempts AS a
WHERE a.run = runs.key AND a.number = runs.attempts AND runs.key IN (SELECT value FROM json_each(?))

-- name: waiting_trials
-- Those that are pending, or wait for their own end.
SELECT id FROM runs WHERE batch = ? AND status IN ('pending', 'running')
    AND (status = 'pending' OR next_setup IS NOT NULL) ORDER BY position

-- name: batches_of_runs
-- The batches that list these runs, or have made them.
SELECT id FROM runs WHERE key IN (
    SELECT batch FROM runs WHERE id IN (SELECT value FROM json_each(?1)) AND batch IS NOT NULL
    UNION SELECT made_by FROM runs WHERE id IN (SELECT value FROM json_each(?1)) AND made_by IS NOT NULL
)

-- name: trash_runs
UPDATE runs SET deleted = ?, batch = NULL, position = NULL WHERE id IN (SELECT value FROM json_each(?))

-- name: free_trials
UPDATE runs SET batch = NULL, position = NULL WHERE id IN (SELECT value FROM json_each(?))

-- name: tokens_of_runs
SELECT a.token, r.id, a.number FROM runs AS r JOIN attempts AS a ON a.run = r.key
WHERE r.id IN (SELECT value FROM json_each(?))

-- name: began_and_never_ran
-- Those of these runs, which never started, that were about to: a folder may have been made for them.
SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND attempts = 0 AND starts > 0

-- name: delete_unstarted
DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND attempts = 0

-- name: retry_no_more
-- As if its trials that run had been started again as often as they may be.
UPDATE runs SET retried = b.retries FROM batches AS b
WHERE b.run = runs.batch AND runs.batch = ? AND runs.status = 'running' AND runs.retried < b.retries

-- name: retry_anew
UPDATE runs SET retried = 0 WHERE batch = ? AND status IN ('running', 'pending') AND retried > 0

-- name: setups_of_runs
-- The setups that these runs and their attempts are made from.
WITH chosen AS (SELECT key, setup, next_setup FROM runs WHERE id IN (SELECT value FROM json_each(:ids)))
SELECT setup FROM chosen UNION SELECT next_setup FROM chosen WHERE next_setup IS NOT NULL
UNION SELECT setup FROM attempts WHERE run IN (SELECT key FROM chosen)

-- name: unused_setups
-- Those of these setups that nothing names any more, with their contents.
SELECT key, operation, environment, source FROM setups
WHERE key IN (SELECT value FROM json_each(:keys))
    AND NOT EXISTS (SELECT 1 FROM runs WHERE setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM runs WHERE next_setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM attempts WHERE setup = setups.key)

-- name: setups_after
-- The next setups in the order of their keys, and whether nothing names them any more.
SELECT key, NOT EXISTS (SELECT 1 FROM runs WHERE setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM runs WHERE next_setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM attempts WHERE setup = setups.key)
FROM setups WHERE key > ? ORDER BY key LIMIT ?

-- name: operations_without_setups
SELECT digest FROM operations WHERE NOT EXISTS (SELECT 1 FROM setups WHERE operation = operations.digest)

-- name: environments_without_setups
SELECT digest FROM environments WHERE NOT EXISTS (SELECT 1 FROM setups WHERE environment = environments.digest)

-- name: delete_unused_operations
DELETE FROM operations WHERE digest IN (SELECT value FROM json_each(:digests))
    AND NOT EXISTS (SELECT 1 FROM setups WHERE operation = operations.digest)

-- name: delete_unused_environments
-- Environments may hold secrets: they go as soon as nothing needs them.
DELETE FROM environments WHERE digest IN (SELECT value FROM json_each(:digests))
    AND NOT EXISTS (SELECT 1 FROM setups WHERE environment = environments.digest)
