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
    """What is said of a run that is not live any more; None if it completed."""
    name = short(run["id"])
    reason = f": {run['reason']}" if run["reason"] else ""
    if run["status"] == "completed":
        return None
    if run["status"] == "staged":
        return f"Run {name} is staged{reason}; `runctl start {name}` starts it"
    how = "ended in error" if run["status"] == "error" else f"was {run['status']}"
    return f"Run {name} {how}{reason}"
