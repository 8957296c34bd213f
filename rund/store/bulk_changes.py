"""Changes of a hundred thousand runs at once: what the pure rules make of each, said once in SQL.

Each statement here is held by a test against the rule of `rund.engine.lifecycle` that it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rund.engine import lifecycle
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import Status
from rund.store.codec import dump
from rund.store.directories import run_folder
from rund.store.queries import QUERIES
from rund.store.run_changes import RunChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrials:
    """Trials to be made: the id, the flags as `codec.dump` writes them, their key and the position of each."""

    ids: Sequence[str]
    flags: Sequence[str]
    keys: Sequence[bytes]
    positions: Sequence[int]


class BulkChanges(RunChanges):
    """Changes of many runs at once."""

    def add_trials(self, first: Run, made: NewTrials, *, place: int | None) -> None:
        """Add trials that are as ``first`` is but for what ``made`` says of each.

        ``place`` is the place in the queue of position 0; None: they are staged.
        """
        shared = self._values(first)
        shared["made_by"] = shared["batch"] = self._key(str(first.made_by))
        self._connection.executemany(QUERIES["insert_trial"], _trial_values(shared, made, place))

    def queue_trials(self, batch: Run, places: Iterable[tuple[int, str]], now: float, *, first: int) -> None:
        """Queue ended or staged runs again as trials of ``batch``, with its setup, each at its position.

        ``first`` is the place in the queue of position 0: trials wait in their order.
        """
        self._touched.add(batch.id)
        setup = self._setup_key(batch.spec.setup)
        constant = (setup, batch.spec.setup.priority, now, now)
        key = self._key(batch.id)
        self._connection.executemany(
            QUERIES["queue_trial"],
            ((*constant, first + position, key, position, run_id) for position, run_id in places),
        )

    def set_flags(self, changes: Iterable[tuple[str, bytes, str]]) -> None:
        """Give runs other flags: the flags as `codec.dump` writes them, their key, and the run's id, of each."""
        self._connection.executemany("UPDATE runs SET flags = ?, flags_key = ? WHERE id = ?", changes)

    def queue_staged(self, batch_id: str, now: float) -> list[str]:
        """Queue the staged trials of a batch, in their order; answers their ids."""
        key = self._key(batch_id)
        rows = self._connection.execute(QUERIES["staged_trials"], (key,)).fetchall()
        if rows:
            self._touched.add(batch_id)
            first = self.next_places(rows[-1][1] + 1)
            self._connection.execute(QUERIES["queue_staged"], {"batch": key, "now": now, "first": first})
        return [row[0] for row in rows]

    def withdraw_each(self, run_ids: Iterable[str], now: float) -> list[tuple[Run, Run]]:
        """Withdraw runs that are pending or wait for their own end, and tell of it: an event for each status.

        Answers those that may show other flags now, before and after.
        """
        rows = self._connection.execute(QUERIES["withdrawable"], (dump(list(run_ids)),)).fetchall()
        alone = [self._withdraw(run) for run in map(self.find, (row[1] for row in rows if not row[4])) if run]
        unstarted = [row[0] for row in rows if row[4] and row[3] is None]
        ended = [row[0] for row in rows if row[4] and row[3] is not None]
        self._touched |= {row[2] for row in rows if row[2] is not None}
        self._connection.execute(QUERIES["withdraw_unstarted"], {"keys": dump(unstarted), "reason": lifecycle.STOPPED})
        self._connection.execute(QUERIES["withdraw_started"], (dump(ended),))
        became = {after.id: after.status for _, after in alone}
        for status in Status:
            ids = [row[1] for row in rows if became.get(row[1], Status.STAGED if row[3] is None else row[3]) == status]
            if ids:
                reason = lifecycle.STOPPED if status is Status.STAGED else None
                self.add_event(EventKind.WITHDRAWN, now, ids, status=status, reason=reason)
        return alone

    def _withdraw(self, run: Run) -> tuple[Run, Run]:
        if run.status is Status.RUNNING:
            withdrawn = replace(run, next_spec=None)
        else:
            last = self.attempt(run.id, run.attempts) if run.attempts else None
            withdrawn = lifecycle.withdraw(run, last, reason=lifecycle.STOPPED)
        self.save_run(withdrawn)
        return run, withdrawn

    def delete_runs(self, run_ids: Iterable[str]) -> None:
        """Erase runs that have never started, for good.

        All that they may have left is an empty folder, of a start that is proven never to have run.
        """
        ids = dump(list(run_ids))
        began = self._connection.execute(QUERIES["began_and_never_ran"], (ids,)).fetchall()
        self.add_garbage(run_folder(run_id) for (run_id,) in began)
        self._connection.execute(QUERIES["delete_unstarted"], (ids,))

    def trash_runs(self, run_ids: Iterable[str], now: float) -> None:
        """Move runs that are at rest to the trash; no batch lists them then."""
        ids = dump(list(run_ids))
        self._touched |= {row[0] for row in self._connection.execute(QUERIES["batches_of_runs"], (ids,))}
        self._connection.execute(QUERIES["trash_runs"], (now, ids))

    def list_trials(self, batch_id: str, places: Iterable[tuple[int, str]]) -> None:
        """Make the batch list these runs, each at its position."""
        key = self._key(batch_id)
        self._touched.add(batch_id)
        self._connection.executemany(
            "UPDATE runs SET batch = ?, position = ? WHERE id = ? AND (batch IS NOT ? OR position IS NOT ?)",
            [(key, position, run_id, key, position) for position, run_id in places],
        )

    def free_trials(self, batch_id: str, run_ids: Iterable[str]) -> None:
        """Make the batch list these runs no more."""
        self._touched.add(batch_id)
        self._connection.execute(QUERIES["free_trials"], (dump(list(run_ids)),))

    def _key(self, run_id: str) -> int:
        return int(self._connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()[0])


def _trial_values(shared: dict[str, object], made: NewTrials, place: int | None) -> Iterator[dict[str, object]]:
    for run_id, flags, key, position in zip(made.ids, made.flags, made.keys, made.positions, strict=True):
        yield {
            **shared,
            "id": run_id,
            "flags": flags,
            "flags_key": key,
            "position": position,
            "place": None if place is None else place + position,
        }
