"""What became of an attempt, by the facts that it left.

Rules, the first that holds:

- What was taken back before it was begun never ran, and never will, whoever still holds its lock.
- Who holds the shim's lock is alive; so the attempt is.
- A valid exit record is the end, and the only thing that ever makes an attempt ``completed``.
- Processes that outlived their shim are alive; the attempt ends with them.
- Otherwise nothing is known of its end: it never ran if that is proven, and is lost if not.  That it never ran is
  proven by free locks and no ``started`` in the same boot alone, for ``started`` is not proof against lost power.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rund.model.facts import AttemptFacts, ExitRecord
from rund.model.run import Usage
from rund.model.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """It has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It ended, and its end is known.  Times are seconds since 1970."""

    status: Status
    reason: str | None  # None: completed
    exit_status: int | None
    signal: int | None
    started: float
    stopped: float
    usage: Usage
    core: bool
    scalars: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverRan:
    """It is proven that nothing of it was executed."""

    fault: str | None = None  # what went wrong in the shim, if it came so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It may have run, and nobody knows how it ended."""

    reason: str


Finding = Alive | Ended | NeverRan | Lost

_STOPPED: Final = "stopped"
_NOT_BEGUN: Final = "the process that was to start it did not begin"
_CWD_GONE: Final = "its directory is gone"
_NO_PYTHON: Final = "there is no python3 on the PATH: activate an environment that has Python"
_EXEC_FAULTS: Final[dict[tuple[str, int], str]] = {
    ("program", errno.ENOENT): "no such file",
    ("program", errno.ENOTDIR): "no such file",
    ("program", errno.EACCES): "permission denied",
    ("program", errno.EPERM): "permission denied",
    ("program", errno.ENOEXEC): "not a program, and without an interpreter line",
    ("program", errno.E2BIG): "its arguments and environment are too long",
    ("program", errno.EINVAL): "its arguments or environment are malformed",
    ("program", errno.ETXTBSY): "the file is being written",
    ("python", errno.ENOENT): _NO_PYTHON,
    ("interpreter", errno.ENOENT): "its interpreter is missing",
    ("interpreter", errno.ENOTDIR): "its interpreter is missing",
    ("cwd", errno.ENOENT): _CWD_GONE,
    ("cwd", errno.ENOTDIR): _CWD_GONE,
    ("cwd", errno.EACCES): "permission denied for its directory",
}


def recover(facts: AttemptFacts) -> Finding:
    """What became of the attempt that ``facts`` tell of."""
    if facts.revoked:
        return NeverRan(fault=_NOT_BEGUN)
    if facts.shim_alive:
        return Alive()
    if facts.exit is not None:
        return _end(facts.exit, facts.scalars)
    if facts.trial_alive:
        return Alive()
    if not facts.same_boot:
        return Lost(reason="lost: the machine restarted")
    if facts.damaged:
        return Lost(reason="lost: its records are damaged")
    if facts.started is not None:
        return Lost(reason="lost: its supervisor was killed")
    return NeverRan(fault=facts.fault)


def _end(record: ExitRecord, scalars: Mapping[str, float]) -> Ended:
    status, reason = _verdict(record)
    executed = record.exec_errno is None
    return Ended(
        status=status,
        reason=reason,
        exit_status=record.exit_status if executed else None,
        signal=record.signal,
        started=record.started,
        stopped=record.ended,
        usage=record.usage,
        core=record.core,
        scalars=scalars,
    )


def _verdict(record: ExitRecord) -> tuple[Status, str | None]:
    if record.stopped:
        return Status.TERMINATED, _STOPPED
    if record.exec_errno is not None:
        return Status.ERROR, f"could not start: {_fault(record.exec_step, record.exec_errno)}"
    if record.signal is not None:
        return Status.TERMINATED, f"signal {record.signal}"
    if record.exit_status == 0:
        return Status.COMPLETED, None
    return Status.ERROR, f"exit {record.exit_status}"


def _fault(step: str | None, number: int) -> str:
    known = _EXEC_FAULTS.get((step or "program", number))
    return known if known is not None else os.strerror(number).lower()
