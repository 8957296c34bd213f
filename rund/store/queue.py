"""Reads the queue of pending runs."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from rund.model.run import Run
from rund.store.damage import FAULTS
from rund.store.listing import ListingReader
from rund.store.queries import QUERIES, RUN_COLUMNS


class QueueReader(ListingReader):
    """Pending runs, in the order in which they start."""

    def pending(self) -> Iterator[Run]:
        """Pending runs in the order in which they start; read as far as it is iterated.

        The queues of all batches, and of the runs of none, are merged: so that a batch with a hundred thousand
        pending trials that may not start costs no more than one.
        """
        queues = [self._queue_of(None, -1)]
        for batch, room in self._rooms():
            if room is None or room > 0:
                queues.append(self._queue_of(batch, -1 if room is None else room))
        return heapq.merge(*queues, key=_rank)

    def in_use(self) -> tuple[int, int]:
        """How many runs are running, and how many slots they take."""
        rows = self._connection.execute(
            "SELECT setup, count(*) FROM runs INDEXED BY runs_running "
            "WHERE status = 'running' AND generation IS NULL GROUP BY setup"
        ).fetchall()
        return sum(number for _, number in rows), sum(number * self._slots(setup) for setup, number in rows)

    def _slots(self, setup: int) -> int:
        try:
            return self._setups_of([setup])[setup].slots
        except FAULTS:
            return 1  # of a damaged run

    def waiting(self) -> list[Run]:
        """All pending runs, also those that may not start."""
        rows = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.status = 'pending'")
        return [run for run in self._runs(rows) if run.damage is None]

    def room(self) -> dict[str, int]:
        """How many trials more may run of each batch that has pending ones and a bound; 0 of a paused one."""
        return {self._id(batch): room for batch, room in self._rooms() if room is not None}

    def _rooms(self) -> list[tuple[int, int | None]]:
        rows = self._connection.execute(QUERIES["rooms"])
        return [
            (batch, 0 if paused else None if jobs is None else max(0, jobs - running))
            for batch, jobs, running, paused in rows
        ]

    def _queue_of(self, batch: int | None, limit: int) -> Iterator[Run]:
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE r.status = 'pending' AND r.batch IS ? "
            "ORDER BY r.priority DESC, r.place LIMIT ?",
            (batch, limit),
        )
        return (run for run in self._runs(rows) if run.damage is None)

    def _id(self, key: int) -> str:
        return str(self._connection.execute("SELECT id FROM runs WHERE key = ?", (key,)).fetchone()[0])

    def ahead(self, run: Run) -> int:
        """How many pending runs start before ``run``, which is pending."""
        priority = run.spec.setup.priority
        row = self._connection.execute(
            "SELECT count(*) FROM runs WHERE status = 'pending' AND (priority > ? OR (priority = ? AND place < ?))",
            (priority, priority, run.place),
        ).fetchone()
        return int(row[0])


def _rank(run: Run) -> tuple[int, int]:
    return -run.spec.setup.priority, run.place or 0
