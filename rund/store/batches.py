"""Reads batches, their trials, and the lists of trials that were committed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rund.errors import InvalidError
from rund.model.batch import Batch, Policy
from rund.model.run import Run, Setup
from rund.model.status import Status
from rund.model.values import Flags
from rund.store.codec import Row, flags_key
from rund.store.damage import FAULTS, in_words
from rund.store.prototypes import prototype_from_json
from rund.store.queries import QUERIES, RUN_COLUMNS
from rund.store.queue import QueueReader

ID_BYTES = 16
_ALL = 2**31 - 1  # bytes: as much as SQLite keeps in one value

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """What a restart needs to know of a run that its batch made; read by the hundred thousand."""

    id: str
    flags_key: bytes
    status: Status
    attempts: int
    stopping: bool
    requeued: bool  # a restart waits for its end
    setup: Setup


class BatchReader(QueueReader):
    """Batches and their trials."""

    def batch(self, batch_id: str) -> Batch:
        """A batch's own part.  Raises `InvalidError` if it is lost or damaged."""
        row = self._connection.execute(
            "SELECT prototype, stopped, paused FROM batches WHERE run = (SELECT key FROM runs WHERE id = ?)",
            (batch_id,),
        ).fetchone()
        try:
            if row is None:
                raise ValueError("it is lost")
            return Batch(prototype=prototype_from_json(row[0]), stopped=bool(row[1]), paused=bool(row[2]))
        except FAULTS as error:
            _log.error("the prototype of batch %s is damaged: %s", batch_id, in_words(error))
            raise InvalidError(
                f"batch {batch_id[:8]} is damaged (its prototype cannot be read): its trials are runs as any,"
                f" and it can be deleted (runctl delete {batch_id[:8]}) and made anew"
            ) from None

    def trial_counts(self, batch_id: str) -> dict[Status, int]:
        """How many trials of each status a batch lists."""
        rows = self._connection.execute(
            "SELECT status, runs FROM trial_counts WHERE batch = (SELECT key FROM runs WHERE id = ?)", (batch_id,)
        )
        return dict.fromkeys(Status, 0) | {Status(status): number for status, number in rows}

    def trials(
        self, batch_id: str, statuses: Sequence[Status] = (), *, after: int = -1, limit: int = -1
    ) -> Iterator[Run]:
        """The trials of a batch in order, of these statuses (none: all), from after a position; ``limit`` -1: all."""
        chosen = f"AND r.status IN ({', '.join('?' * len(statuses))}) " if statuses else ""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.batch = (SELECT key FROM runs WHERE id = ?) "
            f"{chosen}AND r.position > ? ORDER BY r.position LIMIT ?",
            (batch_id, *(status.value for status in statuses), after, limit),
        )
        return self._runs(rows)

    def pending_trials(self, batch_id: str) -> list[str]:
        """The ids of a batch's trials that are pending, in order."""
        rows = self._connection.execute(
            "SELECT id FROM runs WHERE batch = (SELECT key FROM runs WHERE id = ?) AND status = 'pending' "
            "ORDER BY position",
            (batch_id,),
        )
        return [row[0] for row in rows]

    def waiting_trials(self, batch_id: str) -> list[str]:
        """The ids of a batch's trials that are pending or wait for their own end, in order."""
        key = self._connection.execute("SELECT key FROM runs WHERE id = ?", (batch_id,)).fetchone()[0]
        return [row[0] for row in self._connection.execute(QUERIES["waiting_trials"], (key,))]

    def live_trials(self, batch_id: str) -> list[Run]:
        """The trials of a batch that are running or pending."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.batch = (SELECT key FROM runs WHERE id = ?) "
            "AND r.status IN ('running', 'pending') ORDER BY r.position",
            (batch_id,),
        )
        return list(self._runs(rows))

    def trial_ids(self, batch_id: str) -> list[str]:
        """The ids of a batch's trials, in order."""
        rows = self._connection.execute(
            "SELECT id FROM runs WHERE batch = (SELECT key FROM runs WHERE id = ?) ORDER BY position", (batch_id,)
        )
        return [row[0] for row in rows]

    def trial_rows(self, batch_id: str) -> list[TrialRow]:
        """What a restart needs to know of a batch's trials, in order."""
        return self._trial_rows("batch = (SELECT key FROM runs WHERE id = ?) ORDER BY position", batch_id)

    def orphan_rows(self, batch_id: str) -> list[TrialRow]:
        """What a restart needs to know of a batch's orphans that are not in the trash, in the order of their making."""
        return self._trial_rows(
            "made_by = (SELECT key FROM runs WHERE id = ?) AND batch IS NULL AND deleted IS NULL ORDER BY key", batch_id
        )

    def _trial_rows(self, where: str, batch_id: str) -> list[TrialRow]:
        rows = self._connection.execute(
            "SELECT id, flags_key, status, attempts, stopping, next_setup, setup FROM runs "
            f"WHERE damage IS NULL AND {where}",
            (batch_id,),
        )
        found = []
        for row in rows:
            try:
                found.append(self._trial_row(row))
            except FAULTS as error:
                self.met[row[0]] = in_words(error)
        return found

    def _trial_row(self, row: Row) -> TrialRow:
        return TrialRow(
            id=row[0],
            flags_key=row[1],
            status=Status(row[2]),
            attempts=row[3],
            stopping=bool(row[4]),
            requeued=row[5] is not None,
            setup=self._setups_of([row[6]])[row[6]],
        )

    def flags_of(self, run_ids: list[str]) -> dict[str, str]:
        """The flags of these runs, as the store writes them, by id."""
        rows = self._connection.execute(
            "SELECT id, flags FROM runs WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(run_ids),)
        )
        return dict(rows.fetchall())

    def outdated(self, run_ids: list[str], setup: Setup) -> int:
        """How many of these runs have another source, environment or seed than ``setup``."""
        rows = self._connection.execute(
            "SELECT setup, count(*) FROM runs WHERE id IN (SELECT value FROM json_each(?)) GROUP BY setup",
            (json.dumps(run_ids),),
        ).fetchall()
        return sum(number for key, number in rows if _differs(self._setups_of([key])[key], setup))

    def of_other_operation(self, places: Iterable[tuple[int, str]], operation: str) -> list[tuple[int, str]]:
        """Those of ``places`` (position, id) whose runs were made from another operation than this digest."""
        places = list(places)
        rows = self._connection.execute(
            "SELECT r.id FROM runs AS r JOIN setups AS s ON s.key = coalesce(r.next_setup, r.setup) "
            "WHERE r.id IN (SELECT value FROM json_each(?)) AND s.operation <> ?",
            (json.dumps([run_id for _, run_id in places]), operation),
        )
        others = {row[0] for row in rows}
        return [(position, run_id) for position, run_id in places if run_id in others] if others else []

    def prototype_text(self, batch_id: str) -> str:
        """A batch's prototype as it is kept: equal for equal ones, typed values and all."""
        row = self._connection.execute(
            "SELECT prototype FROM batches WHERE run = (SELECT key FROM runs WHERE id = ?)", (batch_id,)
        ).fetchone()
        return str(row[0])

    def batches_of(self, operation: str, flags: Flags) -> Iterator[Run]:
        """The batches of the operation of this name with these flags as shown, the newest first."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.generation IS NOT NULL AND r.deleted IS NULL "
            "AND r.flags_key = ? AND r.operation = ? ORDER BY r.listed DESC, r.key DESC",
            (flags_key(flags), operation),
        )
        return self._runs(rows)

    def committed_list(self, batch_id: str, generation: int) -> list[str] | None:
        """The ids that were a batch's trials in this generation; None if they are not kept (any more)."""
        page = self.committed_page(batch_id, generation, after=0, limit=None)
        return None if page is None else page[0]

    def committed_page(
        self, batch_id: str, generation: int, *, after: int, limit: int | None
    ) -> tuple[list[str], int] | None:
        """(``limit`` at most of those ids, but for the first ``after``; how many there are); None as above."""
        row = self._connection.execute(
            "SELECT substr(ids, ?, ?), length(ids) FROM lists "
            "WHERE batch = (SELECT key FROM runs WHERE id = ?) AND generation = ?",
            (1 + min(after * ID_BYTES, _ALL), _ALL if limit is None else limit * ID_BYTES, batch_id, generation),
        ).fetchone()
        if row is None:
            return None
        return unpack_ids(row[0] or b""), row[1] // ID_BYTES  # of an empty value, substr makes NULL

    def is_paused(self, run: Run) -> bool:
        """Whether a pending run may not start because of a pause, of all or of its batch."""
        return self.paused() or (run.batch is not None and self.policy(run.batch).paused)

    def is_full(self, batch_id: str) -> bool:
        """Whether a batch runs as many trials as it may."""
        jobs = self.policy(batch_id).jobs
        return jobs is not None and self.trial_counts(batch_id)[Status.RUNNING] >= jobs

    def is_stopped(self, batch_id: str) -> bool:
        """Whether a batch was stopped since its last restart or start."""
        row = self._connection.execute(
            "SELECT stopped FROM batches WHERE run = (SELECT key FROM runs WHERE id = ?)", (batch_id,)
        ).fetchone()
        return row is not None and bool(row[0])

    def options(self, batch_id: str) -> tuple[str, int | None]:
        """(optimizer, max_trials) of a batch; read without the rest of its prototype, which may be large."""
        row = self._connection.execute(
            "SELECT optimizer, max_trials FROM batches WHERE run = (SELECT key FROM runs WHERE id = ?)",
            (batch_id,),
        ).fetchone()
        return ("grid", None) if row is None else (str(row[0]), row[1])

    def policy(self, batch_id: str) -> Policy:
        """How a batch's trials are executed; read without the rest of its prototype, which may be large."""
        row = self._connection.execute(
            "SELECT jobs, retries, fail_fast, paused FROM batches WHERE run = (SELECT key FROM runs WHERE id = ?)",
            (batch_id,),
        ).fetchone()
        if row is None:  # it is lost: its trials go on all the same
            return Policy(jobs=None, retries=0, fail_fast=False, paused=False)
        return Policy(jobs=row[0], retries=row[1], fail_fast=bool(row[2]), paused=bool(row[3]))


def _differs(one: Setup, other: Setup) -> bool:
    return (one.source, one.environment, one.random_seed) != (other.source, other.environment, other.random_seed)


def pack_ids(ids: list[str]) -> bytes:
    """16 bytes for each id, in order."""
    return bytes.fromhex("".join(ids))


def unpack_ids(packed: bytes) -> list[str]:
    """What `pack_ids` packed."""
    text = packed.hex()
    return [text[start : start + 2 * ID_BYTES] for start in range(0, len(text), 2 * ID_BYTES)]
