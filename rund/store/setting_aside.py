"""Sets damaged runs aside: each is marked, leaves the queue and its batch, and the rest goes on.

Of a damaged run only its state is ever written: what cannot be read stays as it is.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from rund.engine import lifecycle
from rund.model.status import Status
from rund.store.batches import TrialRow
from rund.store.damage import in_words
from rund.store.withdrawing import WithdrawingChanges

_log = logging.getLogger(__name__)


class SettingAside(WithdrawingChanges):
    """Changes of damaged runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._freed: set[str] = set()  # batches, the lists of which damaged trials have left

    def settle(self, now: float) -> None:
        """Set aside what was met, then settle the batches."""
        if self.met or self._freed:
            met, self.met = self.met, {}
            self.set_aside(met, now)
            freed, self._freed = self._freed, set()
            for batch_id in freed:
                self._publish_if_changed(batch_id, now)
        super().settle(now)

    def _publish_if_changed(self, batch_id: str, now: float) -> None:
        """Publish a list that damaged trials have left, unless that was done: a dry run publishes none."""
        batch = self.find(batch_id)
        if batch is not None and batch.generation is not None:
            committed = self.committed_list(batch_id, batch.generation)
            if committed != self.trial_ids(batch_id):
                self.publish_left(batch_id, now)

    def trial_rows(self, batch_id: str) -> list[TrialRow]:
        """What a restart needs to know of a batch's trials; those that are damaged leave the list that it publishes."""
        rows = super().trial_rows(batch_id)
        if self.met:
            self.free_trials(batch_id, self.met)
            self._freed.add(batch_id)
        return rows

    def forget_read(self) -> None:
        """Forget what was read in a transaction that is rolled back."""
        super().forget_read()
        self._freed.clear()

    def set_aside(self, damages: Mapping[str, str], now: float) -> None:
        """Mark these runs as damaged, take them out of the queue, and out of the lists of their batches."""
        for run_id, damage in damages.items():
            self._connection.execute("SAVEPOINT aside")
            try:
                self._set_aside(run_id, damage, now)
            except sqlite3.IntegrityError as error:  # it is so damaged that it cannot be marked: it is told each time
                _log.error("run %s is damaged, and cannot be marked: %s", run_id, in_words(error))
                self._connection.execute("ROLLBACK TO aside")
            self._connection.execute("RELEASE aside")
        self.met = {}

    def _set_aside(self, run_id: str, damage: str, now: float) -> None:
        marked = self._connection.execute(
            "UPDATE runs SET damage = ? WHERE id = ? AND damage IS NULL", (damage, run_id)
        ).rowcount
        run = self.find(run_id)
        if not marked or run is None:
            return
        batch = run.batch
        if run.status is Status.PENDING:  # what it was after its last attempt nobody tells any more
            run = lifecycle.withdraw(run, None, reason=lifecycle.STOPPED)
        self.save_run(replace(run, batch=None, position=None))
        if batch is not None:
            self.publish_left(batch, now)
