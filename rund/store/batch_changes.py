"""Changes batches: their prototypes, and the lists of trials that they commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rund.model.batch import Batch, batch_status
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import LIVE
from rund.store.batches import pack_ids
from rund.store.bulk_changes import BulkChanges
from rund.store.prototypes import prototype_to_json
from rund.store.queries import QUERIES

LIST_KEPT = 3600.0  # seconds that a list is kept after it was superseded


class BatchChanges(BulkChanges):
    """Changes of batches."""

    def save_batch(self, batch_id: str, batch: Batch) -> None:
        """Add or write a batch's own part."""
        self._touched.add(batch_id)
        prototype = batch.prototype
        self._connection.execute(
            QUERIES["save_batch"],
            {
                "run": batch_id,
                "prototype": prototype_to_json(prototype),
                "optimizer": prototype.optimizer.value,
                "max_trials": prototype.max_trials,
                "jobs": prototype.jobs,
                "retries": prototype.retries,
                "fail_fast": int(prototype.fail_fast),
                "stopped": int(batch.stopped),
                "paused": int(batch.paused),
            },
        )

    def set_stopped(self, batch_id: str, *, stopped: bool) -> None:
        """Remember whether a batch was stopped since its last restart or start."""
        self._touched.add(batch_id)
        self._connection.execute(
            "UPDATE batches SET stopped = ? WHERE run = (SELECT key FROM runs WHERE id = ?)", (int(stopped), batch_id)
        )

    def set_batch_paused(self, batch_id: str, *, paused: bool) -> None:
        """Remember whether none of a batch's trials is to start."""
        self._connection.execute(
            "UPDATE batches SET paused = ? WHERE run = (SELECT key FROM runs WHERE id = ?)", (int(paused), batch_id)
        )

    def resume_batches(self) -> None:
        """Let the trials of every batch start."""
        self._connection.execute("UPDATE batches SET paused = 0")

    def retry_no_more(self, batch_id: str) -> None:
        """Start none of the trials that run again by itself, until the batch or the trial is restarted or started."""
        self._connection.execute(QUERIES["retry_no_more"], (self._key(batch_id),))

    def retry_anew(self, batch_id: str) -> None:
        """Count the retries of trials that run or wait from now on."""
        self._connection.execute(QUERIES["retry_anew"], (self._key(batch_id),))

    def renew_waiting(self, batch: Run) -> None:
        """Give a batch's trials that are still to start its present setup: they keep their places.

        One that was to start in an emptied directory still is: that is asked for one start, not of the batch.
        """
        key = self._key(batch.id)
        setups = self._connection.execute(
            "SELECT DISTINCT coalesce(next_setup, setup) FROM runs WHERE batch = ? "
            "AND (status IN ('staged', 'pending') OR next_setup IS NOT NULL)",
            (key,),
        ).fetchall()
        for (old,) in setups:
            clean = batch.spec.setup.clean or self._setups_of([old])[old].clean
            new = self._setup_key(replace(batch.spec.setup, clean=clean))
            self._connection.execute(
                "UPDATE runs SET setup = ?, priority = ? WHERE batch = ? AND status IN ('staged', 'pending') "
                "AND setup = ?",
                (new, batch.spec.setup.priority, key, old),
            )
            self._connection.execute(
                "UPDATE runs SET next_setup = ? WHERE batch = ? AND next_setup = ?", (new, key, old)
            )

    def publish(self, batch: Run, now: float) -> tuple[Run, list[str]]:
        """Commit what the batch lists now as its next generation; answers the batch and the ids in order."""
        ids = self.trial_ids(batch.id)
        key = self._key(batch.id)
        generation = (batch.generation or 0) + 1
        published = replace(batch, generation=generation)
        self.save_run(published)
        self._connection.execute("UPDATE lists SET superseded = ? WHERE batch = ? AND superseded IS NULL", (now, key))
        self._connection.execute("INSERT INTO lists VALUES (?, ?, NULL, ?)", (key, generation, pack_ids(ids)))
        self._connection.execute("DELETE FROM lists WHERE superseded < ?", (now - LIST_KEPT,))
        return published, ids

    def publish_left(self, batch_id: str, now: float) -> None:
        """Commit what a batch lists now, after trials have left it, as its next generation, and tell of it."""
        batch = self.find(batch_id)
        if batch is not None and batch.is_batch:
            published, _ = self.publish(batch, now)
            self.add_event(EventKind.TRIALS, now, [batch_id], batch=batch_id, generation=published.generation)

    def doubt(self, batch_ids: Iterable[str]) -> None:
        """Have `settle` look at the statuses of these batches too."""
        self._touched.update(batch_ids)

    def settle(self, now: float) -> None:
        """Give each batch whose trials have changed the status that follows from them."""
        touched, self._touched = self._touched, set()
        for batch_id in touched:
            run = None if self._is_settled(batch_id) else self.find(batch_id)
            if run is not None and run.is_batch:
                self._settle(run, now)
        self._touched.clear()

    def _is_settled(self, batch_id: str) -> bool:
        """Whether a batch has the status that follows from its trials: asked after each change of one."""
        row = self._connection.execute(
            "SELECT r.status, coalesce(b.stopped, 0) FROM runs AS r LEFT JOIN batches AS b ON b.run = r.key "
            "WHERE r.id = ?",
            (batch_id,),
        ).fetchone()
        return row is None or batch_status(self.trial_counts(batch_id), stopped=bool(row[1])).value == row[0]

    def _settle(self, run: Run, now: float) -> None:
        counts = self.trial_counts(run.id)
        status = batch_status(counts, stopped=self.is_stopped(run.id))
        if status is run.status:
            return
        live = status in LIVE
        started = now if live and run.started is None else run.started
        self.save_run(replace(run, status=status, started=started, stopped=None if live or started is None else now))
        if run.deleted is not None:
            return  # that its trials are free tells nothing new of it
        self.add_event(EventKind.QUEUED if live else EventKind.ENDED, now, [run.id], status=status)
