"""A run's status, and the one table by which it changes.

Rules:

- A status changes only through `next_status`; an event that is not in the table raises.
- ``completed`` is reached only by an exit with 0 that rund did not signal for.
- A pending run that is withdrawn goes back to what its last attempt was, or to ``staged`` if it has none.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """What users see of a run's state."""

    STAGED = "staged"  # made, and starts only when asked
    PENDING = "pending"  # waits for a slot
    RUNNING = "running"  # its process is alive, or its start has been recorded
    COMPLETED = "completed"  # exited with 0, by itself
    ERROR = "error"  # exited with another code, could not be executed, or was lost with its machine
    TERMINATED = "terminated"  # ended by a signal, or ended after rund had signalled it


class Change(StrEnum):
    """What can happen to a run."""

    QUEUE = "queue"  # it is asked to run: a start or a restart
    START = "start"  # the intent to start it is recorded
    NEVER_RAN = "never-ran"  # recovery proved that the recorded start ran nothing
    COMPLETE = "complete"
    FAIL = "fail"
    TERMINATE = "terminate"
    WITHDRAW_TO_STAGED = "withdraw-to-staged"
    WITHDRAW_TO_COMPLETED = "withdraw-to-completed"
    WITHDRAW_TO_ERROR = "withdraw-to-error"
    WITHDRAW_TO_TERMINATED = "withdraw-to-terminated"


class ImpossibleChangeError(Exception):
    """A change that the table does not have: a fault of rund."""


LIVE: Final = frozenset({Status.PENDING, Status.RUNNING})
ENDED: Final = frozenset({Status.COMPLETED, Status.ERROR, Status.TERMINATED})

_TABLE: Final[dict[Status, dict[Change, Status]]] = {
    Status.STAGED: {Change.QUEUE: Status.PENDING},
    Status.PENDING: {
        Change.START: Status.RUNNING,
        Change.WITHDRAW_TO_STAGED: Status.STAGED,
        Change.WITHDRAW_TO_COMPLETED: Status.COMPLETED,
        Change.WITHDRAW_TO_ERROR: Status.ERROR,
        Change.WITHDRAW_TO_TERMINATED: Status.TERMINATED,
    },
    Status.RUNNING: {
        Change.NEVER_RAN: Status.PENDING,
        Change.COMPLETE: Status.COMPLETED,
        Change.FAIL: Status.ERROR,
        Change.TERMINATE: Status.TERMINATED,
    },
    Status.COMPLETED: {Change.QUEUE: Status.PENDING},
    Status.ERROR: {Change.QUEUE: Status.PENDING},
    Status.TERMINATED: {Change.QUEUE: Status.PENDING},
}

_WITHDRAWALS: Final[dict[Status | None, Change]] = {
    None: Change.WITHDRAW_TO_STAGED,
    Status.COMPLETED: Change.WITHDRAW_TO_COMPLETED,
    Status.ERROR: Change.WITHDRAW_TO_ERROR,
    Status.TERMINATED: Change.WITHDRAW_TO_TERMINATED,
}

_ENDS: Final[dict[Status, Change]] = {
    Status.COMPLETED: Change.COMPLETE,
    Status.ERROR: Change.FAIL,
    Status.TERMINATED: Change.TERMINATE,
}


def next_status(status: Status, change: Change) -> Status:
    """The status that follows ``status`` by ``change``; raises `ImpossibleChangeError` if none does."""
    try:
        return _TABLE[status][change]
    except KeyError:
        raise ImpossibleChangeError(f"a run that is {status} cannot {change}") from None


def withdrawal(last: Status | None) -> Change:
    """The change that withdraws a pending run whose last attempt ended as ``last`` (None: it has none)."""
    return _WITHDRAWALS[last]


def ending(status: Status) -> Change:
    """The change by which a running run comes to the end ``status``."""
    return _ENDS[status]
