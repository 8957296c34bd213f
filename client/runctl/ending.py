"""How a run's end is told: the line that says what happened, and the exit status that stands for it.

A run's own exit code stands for itself, signal n for 128+n, and 1 for an end without either.  0 always means
completed: a run that exits with 0 after it was stopped gives 1.
"""

from __future__ import annotations

from runctl.failures import DONE, INCOMPLETE
from runctl.screen import short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from rund.api.results import RunMap

LIVE = ("pending", "running")


def is_live(run: RunMap) -> bool:
    """Whether the run is running or will be without being asked."""
    return run["status"] in LIVE


def run_exit_status(run: RunMap) -> int:
    """The exit status that stands for the end of ``run``."""
    if run["status"] == "completed":
        return DONE
    if run["signal"]:
        return 128 + run["signal"]
    if run["status"] in ("error", "terminated"):
        return run["exit_status"] or INCOMPLETE
    return INCOMPLETE


def ending_line(run: RunMap) -> str | None:
    """What is said of a run, or a batch, that is not live any more; None if it completed."""
    name = short(run["id"])
    if run["status"] == "completed":
        return None
    if "counts" in run:
        from runctl.tally import summary

        return summary(run)  # type: ignore[arg-type]  # what has counts is a batch
    if run["status"] == "staged":
        return f"Run {name} is staged{_because(run['reason'])}; `runctl start {name}` starts it"
    return f"Run {name} {_how(run['status'])}{_because(run['reason'])}"


def trial_ending_line(run_id: str, status: str | None, reason: str | None) -> str | None:
    """What is said of an attempt of a trial that has ended; None if it completed."""
    if status == "completed":
        return None
    return f"Trial {short(run_id)} {_how(status or 'terminated')}{_because(reason)}"


def _how(status: str) -> str:
    return "ended in error" if status == "error" else f"was {status}"


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
