"""What can be changed in the store: only inside a transaction of the writer's thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from rund.model.event import EventKind
from rund.model.run import Attempt, Run, Setup
from rund.model.status import Status
from rund.store.codec import attempt_values, digest, dump, run_values, setup_options
from rund.store.queries import QUERIES
from rund.store.reader import Reader

REPLY_KEPT = 86_400.0  # seconds that a reply is kept for the same request again
EVENT_KEPT = 7 * 86_400.0  # seconds
EVENTS_KEPT = 1_000_000


class Transaction(Reader):
    """Reads and changes of one transaction; all of it is committed, or none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        row = connection.execute("SELECT max(place) FROM runs WHERE status = 'pending'").fetchone()
        self._place: int = row[0] or 0

    def next_place(self) -> int:
        """A place at the end of the queue."""
        self._place += 1
        return self._place

    def forget_read(self) -> None:
        """Forget what was read: a rolled back transaction may have read what is not there any more."""
        self._setups.clear()

    # Runs

    def add_run(self, run: Run) -> None:
        """Add a new run."""
        self._connection.execute(QUERIES["insert_run"], self._values(run))
        self.set_tags(run.id, run.tags)

    def save_run(self, run: Run) -> None:
        """Write what ``run`` has become; its tags have a change of their own."""
        self._connection.execute(QUERIES["update_run"], self._values(run))

    def set_tags(self, run_id: str, tags: Iterable[str]) -> None:
        """Make ``tags`` the tags of a run."""
        key = self._connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        self._connection.execute("DELETE FROM tags WHERE run = ?", (key,))
        self._connection.executemany("INSERT INTO tags VALUES (?, ?)", [(key, tag) for tag in sorted(set(tags))])

    def _values(self, run: Run) -> dict[str, object]:
        following = None if run.next_spec is None else self._setup_key(run.next_spec.setup)
        return run_values(run, self._setup_key(run.spec.setup), following)

    def save_attempt(self, run_id: str, attempt: Attempt) -> None:
        """Add an attempt, or write what it has become."""
        values = attempt_values(run_id, attempt, self._setup_key(attempt.spec.setup))
        self._connection.execute(QUERIES["save_attempt"], values)

    def erase_attempt(self, run_id: str, number: int) -> None:
        """Erase an attempt that is proven never to have run."""
        self._connection.execute(
            "DELETE FROM attempts WHERE run = (SELECT key FROM runs WHERE id = ?) AND number = ?", (run_id, number)
        )

    def purge_runs(self, run_ids: Iterable[str]) -> None:
        """Erase runs for good."""
        self._connection.executemany("DELETE FROM runs WHERE id = ?", [(run_id,) for run_id in run_ids])

    def unused_sources(self) -> list[str]:
        """Sources that no run needs any more."""
        return [row[0] for row in self._connection.execute(QUERIES["unused_sources"])]

    def forget_unused(self) -> None:
        """Erase setups, operations and environments that no run needs any more."""
        for name in ("delete_unused_setups", "delete_unused_operations", "delete_unused_environments"):
            self._connection.execute(QUERIES[name])
        self._setups.clear()

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
        self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (name, body))
        return name

    def _setup_key(self, setup: Setup) -> int:
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
    ) -> None:
        """Append one event, which tells of all the runs of a change."""
        self._connection.execute(
            "INSERT INTO events (time, kind, runs, status, reason) VALUES (?, ?, ?, ?, ?)",
            (now, kind.value, dump(list(run_ids)), None if status is None else status.value, reason),
        )

    def save_reply(self, request_id: str, request: str, reply: object, now: float) -> None:
        """Keep the reply to a request that named itself, in the transaction that carries it out."""
        self._connection.execute("DELETE FROM replies WHERE time < ?", (now - REPLY_KEPT,))
        self._connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?)", (request_id, now, request, json.dumps(reply))
        )

    def forget_old_events(self, now: float) -> None:
        """Erase events older than a week, and all but the last million."""
        self._connection.execute(
            "DELETE FROM events WHERE time < ? OR number <= ?", (now - EVENT_KEPT, self.last_event() - EVENTS_KEPT)
        )

    def set_paused(self, *, paused: bool) -> None:
        """Remember whether nothing new is to start."""
        if paused:
            self._connection.execute("INSERT OR REPLACE INTO settings VALUES ('paused', 'true')")
        else:
            self._connection.execute("DELETE FROM settings WHERE name = 'paused'")
