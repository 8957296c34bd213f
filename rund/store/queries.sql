-- Named queries: a name, why it is as it is, and the statement.

-- name: run_columns
-- What `codec.run_from_row` reads, in this order; a fragment, not a statement.
r.id, r.operation, r.setup, r.flags, r.status, r.reason, r.label, r.created, r.queued, r.place, r.started,
r.stopped, r.exit_status, r.signal, r.attempts, r.starts, r.scalars, r.stopping, r.next_setup, r.next_flags,
r.deleted, (SELECT json_group_array(tag) FROM tags WHERE run = r.key), r.listed, r.key

-- name: attempt_columns
-- What `codec.attempt_from_row` reads, in this order; a fragment, not a statement.
a.number, a.token, a.setup, a.flags, a.status, a.reason, a.started, a.stopped, a.exit_status, a.signal, a.place,
a.command, a.host, a.user, a.boot_id, a.max_rss, a.user_time, a.system_time, a.scalars

-- name: insert_run
INSERT INTO runs (
    id, operation, setup, flags, flags_hash, status, reason, label, created, queued, place, priority, started,
    stopped, exit_status, signal, attempts, starts, scalars, stopping, next_setup, next_flags, deleted, listed
) VALUES (
    :id, :operation, :setup, :flags, :flags_hash, :status, :reason, :label, :created, :queued, :place, :priority,
    :started, :stopped, :exit_status, :signal, :attempts, :starts, :scalars, :stopping, :next_setup, :next_flags,
    :deleted, :listed
)

-- name: update_run
UPDATE runs SET
    operation = :operation, setup = :setup, flags = :flags, flags_hash = :flags_hash, status = :status,
    reason = :reason, label = :label, queued = :queued, place = :place, priority = :priority, started = :started,
    stopped = :stopped, exit_status = :exit_status, signal = :signal, attempts = :attempts, starts = :starts,
    scalars = :scalars, stopping = :stopping, next_setup = :next_setup, next_flags = :next_flags,
    deleted = :deleted, listed = :listed
WHERE id = :id

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

-- name: unused_sources
-- Sources that no setup of a run or of an attempt names any more.
SELECT DISTINCT source FROM setups AS s
WHERE source IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM setups AS t WHERE t.source = s.source AND (
        EXISTS (SELECT 1 FROM runs WHERE setup = t.key)
        OR EXISTS (SELECT 1 FROM runs WHERE next_setup = t.key)
        OR EXISTS (SELECT 1 FROM attempts WHERE setup = t.key)
    )
)

-- name: delete_unused_setups
DELETE FROM setups WHERE
    NOT EXISTS (SELECT 1 FROM runs WHERE setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM runs WHERE next_setup = setups.key)
    AND NOT EXISTS (SELECT 1 FROM attempts WHERE setup = setups.key)

-- name: delete_unused_operations
DELETE FROM operations WHERE NOT EXISTS (SELECT 1 FROM setups WHERE operation = operations.digest)

-- name: delete_unused_environments
-- Environments may hold secrets: they go as soon as nothing needs them.
DELETE FROM environments WHERE NOT EXISTS (SELECT 1 FROM setups WHERE environment = environments.digest)
