"""Reads runs and their attempts."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator

from rund.errors import AmbiguousError, NotFoundError
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.model.values import Flags
from rund.store.codec import Row, attempt_from_row, flags_key, run_from_row
from rund.store.damage import FAULTS, check_token, damaged_attempt, damaged_run, in_words, known_token, what_is_wrong
from rund.store.journal import JournalReader
from rund.store.queries import ATTEMPT_COLUMNS, QUERIES, RUN_COLUMNS

_log = logging.getLogger(__name__)
_MET_KEPT = 10_000

ID_LENGTH = 32
MIN_PREFIX = 4
CANDIDATES = 5


class RunReader(JournalReader):
    """Runs, by name, status and flags; and their attempts.

    ``met``: damaged runs that were met and are not marked yet, by id, with what is wrong.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.met: dict[str, str] = {}

    def find(self, run_id: str) -> Run | None:
        """The run with this whole id, in the trash or not; None if there is none."""
        rows = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.id = ?", (run_id,))
        return next(iter(self._runs(rows)), None)

    def resolve(self, name: str, *, trash: bool = False) -> Run:
        """The run that a user means: an id, an unambiguous prefix of one, or ``@N``; ``trash``: one in the trash.

        Raises `InvalidError`, `NotFoundError` or `AmbiguousError`, which names the candidates.
        """
        if name.startswith("@"):
            if trash:
                raise NotFoundError(f"{name} is a run that list shows, not one in the trash: give its id")
            return self._newest(name)
        prefix = name.lower()
        if not prefix or not set(prefix) <= set("0123456789abcdef") or len(prefix) > ID_LENGTH:
            raise NotFoundError(f"no run {name!r}: an id has 32 hex digits, of which the first 4 or more will do")
        if len(prefix) < MIN_PREFIX:
            raise NotFoundError(
                f"the id {name!r} is too short: give at least {MIN_PREFIX} digits{self._candidates(prefix)}"
            )
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

    def _candidates(self, prefix: str) -> str:
        """The first runs that a short prefix could mean, in words."""
        rows = self._connection.execute(
            "SELECT id, operation FROM runs WHERE id >= ? AND id < ? AND deleted IS NULL ORDER BY id LIMIT ?",
            (prefix, prefix + "g", CANDIDATES + 1),
        ).fetchall()
        if not rows:
            return ""
        shown = ", ".join(f"{run_id[:8]} ({operation})" for run_id, operation in rows[:CANDIDATES])
        return f"; it could be any of {shown}" + (", ..." if len(rows) > CANDIDATES else "")

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

    def counts(self, *, trash: bool = False) -> dict[Status, int]:
        """How many runs there are of each status."""
        rows = self._connection.execute("SELECT status, runs FROM counts WHERE trash = ?", (int(trash),))
        return dict.fromkeys(Status, 0) | {Status(status): number for status, number in rows}

    def all_damaged(self, *, unmarked: bool) -> dict[str, str]:
        """The damaged runs, with what is wrong; ``unmarked``: also those not met before: every row is read."""
        rows = self._connection.execute("SELECT id, damage FROM runs WHERE damage IS NOT NULL")
        found = {str(run_id): str(damage) for run_id, damage in rows}
        if unmarked:
            every = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs AS r")
            found |= {run.id: run.damage for run in self._runs(every) if run.damage is not None}
        return found

    def first_made(self) -> float | None:
        """When the oldest run was made; None if there is none."""
        row = self._connection.execute("SELECT created FROM runs ORDER BY key LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    def newest_time(self) -> float:
        """The latest of the times that order listings; 0 if there are no runs."""
        row = self._connection.execute("SELECT max(listed) FROM runs WHERE deleted IS NULL").fetchone()
        return float(row[0] or 0.0)

    def running(self) -> list[Run]:
        """All runs that are running."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.status = 'running' AND r.generation IS NULL"
        )
        return list(self._runs(rows))

    def trash(self) -> list[str]:
        """The ids of all runs in the trash."""
        return [row[0] for row in self._connection.execute("SELECT id FROM runs WHERE deleted IS NOT NULL")]

    def completed_equal(self, operation: str, source: str | None, flags: Flags) -> Run | None:
        """The newest completed run of the operation of this name, with this source and these typed flags."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r JOIN setups AS s ON s.key = r.setup "
            "WHERE r.flags_key = ? AND r.status = 'completed' AND r.deleted IS NULL "
            "AND r.operation = ? AND s.source IS ? ORDER BY r.listed DESC",
            (flags_key(flags), operation, source),
        )
        return next(self._runs(rows), None)

    def live(self, run_ids: Iterable[str]) -> list[str]:
        """Those of ``run_ids`` that are running or pending."""
        rows = self._connection.execute(
            "SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND status IN ('running', 'pending')",
            (json.dumps(list(run_ids)),),
        )
        return [row[0] for row in rows]

    def attempts(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, the first one first."""
        rows = self._connection.execute(
            f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS a WHERE a.run = (SELECT key FROM runs WHERE id = ?) "
            "ORDER BY a.number",
            (run_id,),
        )
        return [self._attempt(row, run_id) for row in rows.fetchall()]

    def tokens(self, run_ids: Iterable[str]) -> list[str]:
        """The tokens of all attempts of these runs; for a damaged one what `known_token` tells."""
        rows = self._connection.execute(QUERIES["tokens_of_runs"], (json.dumps(list(run_ids)),))
        return [known_token(*row) for row in rows]

    def attempt(self, run_id: str, number: int) -> Attempt | None:
        """One attempt of a run; None if it has no such attempt."""
        rows = self._connection.execute(
            f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS a "
            "WHERE a.run = (SELECT key FROM runs WHERE id = ?) AND a.number = ?",
            (run_id, number),
        )
        return next((self._attempt(row, run_id) for row in rows.fetchall()), None)

    def _attempt(self, row: Row, run_id: str) -> Attempt:
        try:
            attempt = attempt_from_row(row, self._setups_of([row[2]]))
            check_token(attempt.token, run_id)
        except FAULTS as error:
            return damaged_attempt(row, known_token(row[1], run_id, row[0]), self._setups, in_words(error))
        return attempt

    def _runs(self, rows: Iterable[Row]) -> Iterator[Run]:
        for row in rows:
            run = self._run(row)
            if run is not None:
                yield run

    def _run(self, row: Row) -> Run | None:
        """The run of a row; of a damaged one what can be read, which is noted."""
        try:
            damage: str | None = row[27]
            if damage is None:
                return run_from_row(row, self._setups_of([row[2], row[18]]))
        except FAULTS as error:
            damage = what_is_wrong(row, self._setups, error)
            _log.error("run %s is damaged: %s", row[0], damage)
            if isinstance(row[0], str) and len(self.met) < _MET_KEPT:
                self.met[row[0]] = damage
        return damaged_run(row, self._setups, damage)
