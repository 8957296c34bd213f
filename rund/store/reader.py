"""What can be asked of the store, on one connection and thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rund.errors import AmbiguousError, InvalidError, NotFoundError
from rund.model.event import Event
from rund.model.run import Attempt, Run, Setup
from rund.model.status import Status
from rund.model.values import Flags, trial_key
from rund.store.codec import Row, attempt_from_row, event_from_row, flags_hash, run_from_row, setup_from_row
from rund.store.queries import ATTEMPT_COLUMNS, RUN_COLUMNS

ID_LENGTH = 32
MIN_PREFIX = 4
CANDIDATES = 5
_SETUPS_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a listing wants; None or empty: any."""

    status: tuple[Status, ...] = ()
    operation: str | None = None
    label: str | None = None
    tag: str | None = None
    trash: bool = False

    @property
    def plain(self) -> bool:
        """Whether the counts by status answer how many there are."""
        return self.operation is None and self.label is None and self.tag is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs of a listing, how many it has in all, and where the next page begins (None: there is none)."""

    runs: tuple[Run, ...]
    total: int
    next: tuple[float, int] | None


class Reader:
    """Reads of one connection, which only one thread may use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._setups: dict[int, Setup] = {}

    # Runs

    def find(self, run_id: str) -> Run | None:
        """The run with this whole id, in the trash or not; None if there is none."""
        rows = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.id = ?", (run_id,))
        return next(iter(self._runs(rows)), None)

    def resolve(self, name: str, *, trash: bool = False) -> Run:
        """The run that a user means: an id, an unambiguous prefix of one, or ``@N``; ``trash``: one in the trash.

        Raises `InvalidError`, `NotFoundError` or `AmbiguousError`, which names the candidates.
        """
        if name.startswith("@"):
            return self._newest(name)
        prefix = name.lower()
        if not prefix or not set(prefix) <= set("0123456789abcdef") or len(prefix) > ID_LENGTH:
            raise NotFoundError(f"no run {name!r}: an id has 32 hex digits, of which the first 4 or more will do")
        if len(prefix) < MIN_PREFIX:
            raise NotFoundError(f"the id {name!r} is too short: give at least {MIN_PREFIX} digits")
        where = "r.deleted IS NOT NULL" if trash else "r.deleted IS NULL"
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.id >= ? AND r.id < ? AND {where} ORDER BY r.id LIMIT ?",
            (prefix, prefix + "g", CANDIDATES + 1),
        )
        runs = list(self._runs(rows))
        if len(runs) > 1:
            shown = ", ".join(f"{run.id[:8]} ({run.operation})" for run in runs[:CANDIDATES])
            more = ", ..." if len(runs) > CANDIDATES else ""
            raise AmbiguousError(f"the id {name!r} could be any of {shown}{more}: give more digits")
        if not runs:
            raise NotFoundError(self._missing(prefix, trash=trash))
        return runs[0]

    def _missing(self, prefix: str, *, trash: bool) -> str:
        other = self._connection.execute(
            "SELECT deleted FROM runs WHERE id >= ? AND id < ? LIMIT 1", (prefix, prefix + "g")
        ).fetchone()
        if other is None:
            return f"no run {prefix!r}"
        if trash:
            return f"run {prefix!r} is not in the trash"
        return f"run {prefix!r} is in the trash: runctl restore {prefix} brings it back"

    def _newest(self, name: str) -> Run:
        digits = name[1:]
        if not digits.isascii() or not digits.isdigit() or int(digits[:9]) < 1:
            raise NotFoundError(f"no run {name!r}: @1 is the newest run that list shows, @2 the next")
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.deleted IS NULL "
            "ORDER BY r.listed DESC, r.key DESC LIMIT 1 OFFSET ?",
            (int(digits[:9]) - 1,),
        )
        for run in self._runs(rows):
            return run
        raise NotFoundError(f"no run {name!r}: there are {sum(self.counts().values())} runs")

    def list_runs(self, wanted: RunFilter, *, limit: int, after: tuple[float, int] | None) -> Page:
        """A page of the runs that ``wanted`` lets through, newest start first."""
        clauses, values = _conditions(wanted)
        start, start_values = ("", ()) if after is None else (" AND (r.listed, r.key) < (?, ?)", after)
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE {clauses}{start} ORDER BY r.listed DESC, r.key DESC LIMIT ?",
            (*values, *start_values, limit + 1),
        ).fetchall()
        page = tuple(self._runs(rows[:limit]))
        following = (rows[limit - 1][-2], rows[limit - 1][-1]) if len(rows) > limit else None
        return Page(runs=page, total=self._total(wanted, clauses, values), next=following)

    def _total(self, wanted: RunFilter, clauses: str, values: Sequence[object]) -> int:
        if wanted.plain:
            counts = self.counts(trash=wanted.trash)
            return sum(counts[status] for status in (wanted.status or tuple(Status)))
        row = self._connection.execute(f"SELECT count(*) FROM runs AS r WHERE {clauses}", tuple(values)).fetchone()
        return int(row[0])

    def counts(self, *, trash: bool = False) -> dict[Status, int]:
        """How many runs there are of each status."""
        rows = self._connection.execute("SELECT status, runs FROM counts WHERE trash = ?", (int(trash),))
        return dict.fromkeys(Status, 0) | {Status(status): number for status, number in rows}

    def pending(self) -> Iterator[Run]:
        """Pending runs in the order in which they start; read as far as it is iterated."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.status = 'pending' ORDER BY r.priority DESC, r.place"
        )
        return self._runs(rows)

    def ahead(self, run: Run) -> int:
        """How many pending runs start before ``run``, which is pending."""
        priority = run.spec.setup.priority
        row = self._connection.execute(
            "SELECT count(*) FROM runs WHERE status = 'pending' AND (priority > ? OR (priority = ? AND place < ?))",
            (priority, priority, run.place),
        ).fetchone()
        return int(row[0])

    def running(self) -> list[Run]:
        """All runs that are running."""
        rows = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.status = 'running'")
        return list(self._runs(rows))

    def trash(self) -> list[str]:
        """The ids of all runs in the trash."""
        return [row[0] for row in self._connection.execute("SELECT id FROM runs WHERE deleted IS NOT NULL")]

    def completed_equal(self, operation: str, source: str | None, flags: Flags) -> Run | None:
        """The newest completed run of the operation of this name, with this source and these typed flags."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r JOIN setups AS s ON s.key = r.setup "
            "WHERE r.flags_hash = ? AND r.status = 'completed' AND r.deleted IS NULL "
            "AND r.operation = ? AND s.source IS ? ORDER BY r.listed DESC",
            (flags_hash(flags), operation, source),
        )
        wanted = trial_key(flags)
        return next((run for run in self._runs(rows) if trial_key(run.spec.flags) == wanted), None)

    def live(self, run_ids: Iterable[str]) -> list[str]:
        """Those of ``run_ids`` that are running or pending."""
        rows = self._connection.execute(
            "SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND status IN ('running', 'pending')",
            (json.dumps(list(run_ids)),),
        )
        return [row[0] for row in rows]

    # Attempts

    def attempts(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, the first one first."""
        rows = self._connection.execute(
            f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS a WHERE a.run = (SELECT key FROM runs WHERE id = ?) "
            "ORDER BY a.number",
            (run_id,),
        )
        return [attempt_from_row(row, self._setups_of([row[2]])) for row in rows.fetchall()]

    def attempt(self, run_id: str, number: int) -> Attempt | None:
        """One attempt of a run; None if it has no such attempt."""
        rows = self._connection.execute(
            f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS a "
            "WHERE a.run = (SELECT key FROM runs WHERE id = ?) AND a.number = ?",
            (run_id, number),
        )
        return next((attempt_from_row(row, self._setups_of([row[2]])) for row in rows.fetchall()), None)

    # Contents

    def operation(self, digest: str) -> str:
        """The stored text of an operation."""
        return str(self._one("SELECT body FROM operations WHERE digest = ?", digest))

    def environment(self, digest: str) -> str:
        """The stored text of an environment."""
        return str(self._one("SELECT body FROM environments WHERE digest = ?", digest))

    # Events, replies, settings

    def last_event(self) -> int:
        """The number of the last event; 0 if there was none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def first_event(self) -> int:
        """The number of the first event that is kept; one after the last if none is."""
        row = self._connection.execute("SELECT min(number) FROM events").fetchone()
        return self.last_event() + 1 if row[0] is None else int(row[0])

    def events(self, after: int, limit: int) -> list[Event]:
        """The events after number ``after``, in order."""
        rows = self._connection.execute(
            "SELECT number, time, kind, runs, status, reason FROM events WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [event_from_row(row) for row in rows]

    def reply(self, request_id: str) -> tuple[str, str] | None:
        """(digest of the request, its first reply as JSON) of a request that named itself; None if it is new."""
        row = self._connection.execute(
            "SELECT request, reply FROM replies WHERE request_id = ?", (request_id,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def paused(self) -> bool:
        """Whether nothing new is to start."""
        return self._connection.execute("SELECT 1 FROM settings WHERE name = 'paused'").fetchone() is not None

    def garbage(self, limit: int) -> list[str]:
        """Folders, relative to the home, that nothing needs any more."""
        return [row[0] for row in self._connection.execute("SELECT path FROM garbage LIMIT ?", (limit,))]

    def snapshot(self) -> None:
        """Begin a read that sees one committed state until `release`."""
        self._connection.execute("BEGIN")

    def release(self) -> None:
        """End the read that `snapshot` began."""
        self._connection.execute("COMMIT")

    def _one(self, statement: str, value: str) -> object:
        row = self._connection.execute(statement, (value,)).fetchone()
        if row is None:
            raise InvalidError(f"the store has lost {value}")
        return row[0]

    def _runs(self, rows: Iterable[Row]) -> Iterator[Run]:
        for row in rows:
            yield run_from_row(row, self._setups_of([row[2], row[18]]))

    def _setups_of(self, keys: Iterable[int | None]) -> dict[int, Setup]:
        """The setups by key, those of ``keys`` among them: contents never change, so they are remembered."""
        for key in keys:
            if key is not None and key not in self._setups:
                if len(self._setups) >= _SETUPS_KEPT:
                    self._setups.clear()
                row = self._connection.execute(
                    "SELECT operation, environment, source, options FROM setups WHERE key = ?", (key,)
                ).fetchone()
                self._setups[key] = setup_from_row(row)
        return self._setups


def _conditions(wanted: RunFilter) -> tuple[str, list[object]]:
    clauses = ["r.deleted IS NOT NULL" if wanted.trash else "r.deleted IS NULL"]
    values: list[object] = []
    if wanted.status:
        clauses.append(f"r.status IN ({', '.join('?' * len(wanted.status))})")
        values += [status.value for status in wanted.status]
    for column, value in (("operation", wanted.operation), ("label", wanted.label)):
        if value is not None:
            clauses.append(f"r.{column} = ?")
            values.append(value)
    if wanted.tag is not None:
        clauses.append("r.key IN (SELECT run FROM tags WHERE tag = ?)")
        values.append(wanted.tag)
    return " AND ".join(clauses), values
