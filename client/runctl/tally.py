"""How a batch stands, in words: its summary, and the line that is live while it is followed.  Pure."""

from __future__ import annotations

from runctl.screen import short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rund.api.results import BatchMap

_ORDER = ("completed", "error", "terminated", "running", "pending", "staged")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def summary(batch: BatchMap) -> str:
    """``Batch 1f2e3d4c: 4 completed, 1 error``."""
    return f"Batch {short(batch['id'])}: {counts_text(batch['counts'])}"


def counts_text(counts: Mapping[str, int]) -> str:
    """``4 completed, 1 error``; what there is none of is left out."""
    return ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts.get(status)) or "no trials"


def all_completed(batch: BatchMap) -> bool:
    """Whether every trial of the batch is completed."""
    return batch["counts"].get("completed", 0) == batch["trial_count"]


def done_count(counts: Mapping[str, int]) -> int:
    """How many trials have ended, however."""
    return sum(counts.get(status, 0) for status in ("completed", "error", "terminated"))


def seconds_left(counts: Mapping[str, int], *, done_before: int, elapsed: float) -> float | None:
    """How long what is running or pending takes, at the pace since ``elapsed`` seconds ago, when ``done_before`` were
    done; None if that cannot be told.
    """
    done = done_count(counts) - done_before
    waiting = counts.get("running", 0) + counts.get("pending", 0)
    return waiting * elapsed / done if done > 0 and elapsed > 0 else None


def progress(batch: BatchMap, left: float | None) -> str:
    """``3/12 done, 2 running, 1 error, about 2 min left``."""
    counts = batch["counts"]
    parts = [f"{done_count(counts)}/{batch['trial_count']} done"]
    parts += [f"{counts[status]} {status}" for status in ("running", "error", "terminated") if counts.get(status)]
    if left is not None and left > 0:
        parts.append(f"about {rough(left)} left")
    return ", ".join(parts)


def rough(seconds: float) -> str:
    """A duration as an estimate deserves it: ``20 s``, ``2 min``, ``3 h``, ``4 d``."""
    if seconds < _MINUTE:
        return f"{max(round(seconds), 1)} s"
    for unit, size, limit in (("min", _MINUTE, _HOUR), ("h", _HOUR, _DAY)):
        if seconds < limit:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / _DAY)} d"
