"""Withdraws runs that wait: shared by a stop, a restart that sets trials free, and fail-fast."""

from __future__ import annotations

from collections.abc import Iterable

from rund.engine import lifecycle
from rund.model.run import Run
from rund.store.batch_changes import BatchChanges


class WithdrawingChanges(BatchChanges):
    """Changes of runs that wait."""

    def withdraw_all(self, run_ids: Iterable[str], now: float) -> None:
        """Withdraw runs that are pending or wait for their own end, and tell of it.

        A trial that shows other flags afterwards leaves its batch's trials, as with any change of its flags.
        """
        self.leave_changed(self.withdraw_each(run_ids, now), now)

    def leave_changed(self, changes: Iterable[tuple[Run, Run]], now: float) -> None:
        """Take trials that (before, after) show to have other flags now out of their batches' lists."""
        left: dict[str, list[str]] = {}
        for before, after in changes:
            if after.batch is not None and not lifecycle.shows_same_flags(before, after):
                left.setdefault(after.batch, []).append(after.id)
        for batch_id, run_ids in left.items():
            self.free_trials(batch_id, run_ids)
            self.publish_left(batch_id, now)
