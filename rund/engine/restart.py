"""What a restart of a single run does: pure."""

from __future__ import annotations

from enum import StrEnum

from rund.model.run import Run
from rund.model.status import Status


class RestartAction(StrEnum):
    """What is done with a run that a restart names."""

    QUEUE = "queue"  # it runs again, in place
    QUEUE_AFTER_END = "queue-after-end"  # it is being stopped: it runs again when it has ended
    SKIP = "skip"  # it is completed with these flags, and only what is needed was asked for
    KEEP = "keep"  # it runs, or waits, with these flags, and only what is needed was asked for
    BUSY = "busy"  # it runs, or waits, and must not be changed under way


def restart_action(run: Run, *, same_flags: bool, needed: bool) -> RestartAction:
    """The action for ``run``; ``same_flags``: the restart would run it with the flags that it has.

    A run that is being stopped counts as ended, unless a restart waits for its end already.
    """
    match run.status:
        case Status.RUNNING if run.stopping and run.next_spec is None:
            return RestartAction.QUEUE_AFTER_END
        case Status.RUNNING | Status.PENDING:
            return RestartAction.KEEP if needed and same_flags else RestartAction.BUSY
        case Status.COMPLETED:
            return RestartAction.SKIP if needed and same_flags else RestartAction.QUEUE
        case Status.STAGED | Status.ERROR | Status.TERMINATED:
            return RestartAction.QUEUE
