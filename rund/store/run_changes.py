"""Changes runs, attempts, contents, events and replies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from rund.model.event import EventKind
from rund.model.run import Attempt, Run, Setup
from rund.model.status import Status
from rund.store.codec import (
    attempt_values,
    changed_values,
    digest,
    dump,
    ended_values,
    run_values,
    setup_options,
)
from rund.store.contents import SETUPS_KEPT
from rund.store.queries import QUERIES
from rund.store.reader import Reader

REPLY_KEPT = 86_400.0  # seconds that a reply is kept for the same request again
EVENT_KEPT = 7 * 86_400.0  # seconds
EVENTS_KEPT = 1_000_000
_FORGET_EACH = 512  # events between two looks for those to forget


class RunChanges(Reader):
    """Changes of runs, and of what goes with them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        # Also after those that run: one that is proven never to have run waits again in its old place.
        rows = connection.execute(
            "SELECT max(place) FROM runs WHERE status = 'pending' UNION ALL "
            "SELECT max(a.place) FROM runs r INDEXED BY runs_running JOIN attempts a ON a.run = r.key "
            "WHERE r.status = 'running' AND r.generation IS NULL"
        ).fetchall()
        self._place: int = max(row[0] or 0 for row in rows)
        self._setup_keys: dict[Setup, int] = {}
        self._touched: set[str] = set()  # batches, the trials of which have changed
        self._stops = 0
        self._copies_in_memory = False
        self.short = False  # only what ends or frees something is to be written: the disk is full

    def keep_copies(self, *, in_memory: bool) -> None:
        """Where SQLite keeps what the pages that a statement changes were before, while that is carried out.

        In memory they are forgotten with the statement, but of one that changes all trials of a batch they are many. In
        a file they are written for each statement once one has changed 64 KB: for a batch of 20,000 trials 1.3 GB.
        """
        if in_memory != self._copies_in_memory:
            self._connection.execute(f"PRAGMA temp_store = {'MEMORY' if in_memory else 'DEFAULT'}")
            self._copies_in_memory = in_memory

    def next_place(self) -> int:
        """A place at the end of the queue."""
        return self.next_places(1)

    def next_places(self, number: int) -> int:
        """The first of so many places at the end of the queue."""
        first = self._place + 1
        self._place += number
        return first

    def forget_read(self) -> None:
        """Forget what was read: a rolled back transaction may have read what is not there any more."""
        self._setups.clear()
        self._setup_keys.clear()
        self._touched.clear()
        self.met.clear()

    # Runs

    def add_run(self, run: Run) -> None:
        """Add a new run."""
        self._connection.execute(QUERIES["insert_run"], self._values(run))
        if run.tags:
            self.set_tags(run.id, run.tags)

    def take_stops(self) -> int:
        """How many runs that are being stopped were saved since this was last asked; some may be rolled back."""
        stops, self._stops = self._stops, 0
        return stops

    def save_run(self, run: Run) -> None:
        """Write what ``run`` has become; its tags have a change of their own."""
        self._stops += run.stopping
        if run.damage is not None:
            self._touched |= {batch for batch in (run.batch, run.made_by) if batch is not None}
            self._connection.execute(QUERIES["update_damaged_run"], run_values(run, 0, None))
            return
        self._connection.execute(QUERIES["update_run"], self._values(run))

    def change_run(self, before: Run, after: Run) -> None:
        """Write what ``after`` has become; ``before`` is the run as it stands in the store.

        Only what differs is written, for each column that is named costs the indexes that it is in.
        """
        values = None if after.damage is not None else changed_values(before, after)
        if values is None:
            self.save_run(after)
            return
        self._stops += after.stopping
        self._touched |= {batch for batch in (after.batch, after.made_by) if batch is not None}
        if values:
            columns = ", ".join(f"{name} = :{name}" for name in values)
            self._connection.execute(f"UPDATE runs SET {columns} WHERE id = :id", values | {"id": after.id})

    def set_tags(self, run_id: str, tags: Iterable[str]) -> None:
        """Make ``tags`` the tags of a run."""
        key = self._connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        self._connection.execute("DELETE FROM tags WHERE run = ?", (key,))
        self._connection.executemany("INSERT INTO tags VALUES (?, ?)", [(key, tag) for tag in sorted(set(tags))])

    def _values(self, run: Run) -> dict[str, object]:
        self._touched |= {batch for batch in (run.batch, run.made_by) if batch is not None}
        following = None if run.next_spec is None else self._setup_key(run.next_spec.setup)
        return run_values(run, self._setup_key(run.spec.setup), following)

    def save_attempt(self, run_id: str, attempt: Attempt) -> None:
        """Add an attempt, or write what it has become."""
        if attempt.damage is not None:
            self._connection.execute(QUERIES["update_damaged_attempt"], attempt_values(run_id, attempt, 0))
            return
        values = attempt_values(run_id, attempt, self._setup_key(attempt.spec.setup))
        self._connection.execute(QUERIES["save_attempt"], values)

    def end_attempt(self, run_id: str, attempt: Attempt) -> None:
        """Write the end of an attempt that is there."""
        if attempt.damage is not None:
            self.save_attempt(run_id, attempt)
            return
        self._connection.execute(QUERIES["end_attempt"], ended_values(run_id, attempt))

    def erase_attempt(self, run_id: str, number: int) -> None:
        """Erase an attempt that is proven never to have run."""
        self._connection.execute(
            "DELETE FROM attempts WHERE run = (SELECT key FROM runs WHERE id = ?) AND number = ?", (run_id, number)
        )

    def purge_runs(self, run_ids: Iterable[str]) -> None:
        """Erase runs for good, with the contents that only they needed; folders of those become garbage."""
        ids = json.dumps(list(run_ids))
        setups = [row[0] for row in self._connection.execute(QUERIES["setups_of_runs"], {"ids": ids})]
        self._connection.execute("DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?))", (ids,))
        self.forget_setups(setups)

    def forget_setups(self, setups: Iterable[int]) -> None:
        """Erase those of these setups that nothing needs, with the contents that only they needed."""
        keys = {"keys": json.dumps(list(setups))}
        contents = self._connection.execute(QUERIES["unused_setups"], keys).fetchall()
        unused = {"keys": json.dumps([row[0] for row in contents])}
        self._connection.execute("DELETE FROM setups WHERE key IN (SELECT value FROM json_each(:keys))", unused)
        self._setups.clear()
        self._setup_keys.clear()
        self.forget_contents({row[1] for row in contents}, {row[2] for row in contents})
        self.add_garbage(f"sources/{source}" for source in self.unneeded_sources({row[3] for row in contents} - {None}))

    def forget_contents(self, operations: Iterable[str], environments: Iterable[str]) -> None:
        """Erase those of these operations and environments that no setup needs."""
        for name, digests in (("delete_unused_operations", operations), ("delete_unused_environments", environments)):
            self._connection.execute(QUERIES[name], {"digests": json.dumps(list(digests))})

    def add_garbage(self, paths: Iterable[str]) -> None:
        """Note folders, relative to the home, that nothing needs any more."""
        self._connection.executemany("INSERT OR IGNORE INTO garbage VALUES (?)", [(path,) for path in paths])

    def keep(self, path: str) -> None:
        """Note that a folder is needed again."""
        self._connection.execute("DELETE FROM garbage WHERE path = ?", (path,))

    def forget_garbage(self, paths: Iterable[str]) -> None:
        """Note that folders have been taken away."""
        self._connection.executemany("DELETE FROM garbage WHERE path = ?", [(path,) for path in paths])

    # Contents

    def add_operation(self, body: str) -> str:
        """Keep an operation's text once; answers its digest."""
        return self._add("operations", body)

    def add_environment(self, body: str) -> str:
        """Keep an environment's text once; answers its digest."""
        return self._add("environments", body)

    def _add(self, table: str, body: str) -> str:
        name = digest(body)
        # One that was damaged is whole again then.
        self._connection.execute(
            f"INSERT INTO {table} VALUES (?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
            (name, body),
        )
        return name

    def _setup_key(self, setup: Setup) -> int:
        key = self._setup_keys.get(setup)
        if key is None:
            if len(self._setup_keys) >= SETUPS_KEPT:
                self._setup_keys.clear()
            key = self._setup_keys[setup] = self._find_setup(setup)
        return key

    def _find_setup(self, setup: Setup) -> int:
        options = setup_options(setup)
        name = digest("\0".join((setup.operation, setup.environment, setup.source or "", options)))
        row = self._connection.execute("SELECT key FROM setups WHERE digest = ?", (name,)).fetchone()
        if row is None:
            row = self._connection.execute(
                "INSERT INTO setups (digest, operation, environment, source, options) VALUES (?, ?, ?, ?, ?) "
                "RETURNING key",
                (name, setup.operation, setup.environment, setup.source, options),
            ).fetchone()
        return int(row[0])

    # Events, replies, settings

    def add_event(
        self,
        kind: EventKind,
        now: float,
        run_ids: Iterable[str] = (),
        *,
        status: Status | None = None,
        reason: str | None = None,
        batch: str | None = None,
        generation: int | None = None,
    ) -> None:
        """Append one event, which tells of all the runs of a change."""
        added = self._connection.execute(
            "INSERT INTO events (time, kind, runs, status, reason, batch, generation) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (now, kind.value, dump(list(run_ids)), status and status.value, reason, batch, generation),
        )
        if (added.lastrowid or 0) % _FORGET_EACH == 0:
            self.forget_old_events(now)

    def save_reply(self, request_id: str, request: str, reply: object, now: float) -> None:
        """Keep the reply to a request that named itself, in the transaction that carries it out."""
        self._connection.execute("DELETE FROM replies WHERE time < ?", (now - REPLY_KEPT,))
        self._connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?)", (request_id, now, request, json.dumps(reply))
        )

    def forget_old_events(self, now: float) -> None:
        """Erase the oldest events, a bounded number of them, that are older than a week or not of the last million."""
        first, last = self.first_event(), self.last_event()
        # Numbers grow with time; and twice as many may go as come, so that a backlog goes too.
        until = min(first + 2 * _FORGET_EACH, last + 1)
        self._connection.execute(
            "DELETE FROM events WHERE number >= ? AND number < ? AND (time < ? OR number <= ?)",
            (first, until, now - EVENT_KEPT, last - EVENTS_KEPT),
        )

    def set_paused(self, *, paused: bool) -> None:
        """Remember whether nothing new is to start."""
        if paused:
            self._connection.execute("INSERT OR REPLACE INTO settings VALUES ('paused', 'true')")
        else:
            self._connection.execute("DELETE FROM settings WHERE name = 'paused'")
