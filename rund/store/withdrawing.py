"""Withdraws runs that wait: shared by a stop, a restart that sets trials free, and fail-fast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rund.engine import lifecycle
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import Status
from rund.store.batch_changes import BatchChanges


class WithdrawingChanges(BatchChanges):
    """Changes of runs that wait."""

    def withdraw(self, run: Run) -> Run:
        """What a pending run, or one that waits for its own end, becomes by being withdrawn; saved."""
        if run.status is Status.RUNNING:
            withdrawn = replace(run, next_spec=None)
        else:
            last = self.attempt(run.id, run.attempts) if run.attempts else None
            withdrawn = lifecycle.withdraw(run, last, reason=lifecycle.STOPPED)
        self.save_run(withdrawn)
        return withdrawn

    def withdraw_all(self, runs: Iterable[Run], now: float) -> None:
        """Withdraw pending runs, and tell of it: an event for each status that they come to.

        A trial that shows other flags afterwards leaves its batch's trials, as with any change of its flags.
        """
        self.leave_changed(self.withdraw_each(runs, now), now)

    def withdraw_each(self, runs: Iterable[Run], now: float) -> list[tuple[Run, Run]]:
        """As `withdraw_all`, but none leaves: answers each run before and after, for one `leave_changed` of all."""
        before = list(runs)
        withdrawn = [self.withdraw(run) for run in before]
        for status in Status:
            ids = [run.id for run in withdrawn if run.status is status]
            if ids:
                reason = lifecycle.STOPPED if status is Status.STAGED else None
                self.add_event(EventKind.WITHDRAWN, now, ids, status=status, reason=reason)
        return list(zip(before, withdrawn, strict=True))

    def leave_changed(self, changes: Iterable[tuple[Run, Run]], now: float) -> None:
        """Take trials that (before, after) show to have other flags now out of their batches' lists."""
        left: dict[str, list[str]] = {}
        for before, after in changes:
            if after.batch is not None and not lifecycle.shows_same_flags(before, after):
                left.setdefault(after.batch, []).append(after.id)
        for batch_id, run_ids in left.items():
            self.free_trials(batch_id, run_ids)
            self.publish_left(batch_id, now)
