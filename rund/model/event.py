"""Events: the numbered changes that clients follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rund.model.status import Status


class EventKind(StrEnum):
    """What happened to the runs that an event names."""

    CREATED = "created"  # made, staged or pending
    QUEUED = "queued"  # asked to run (again), now pending
    STARTED = "started"
    STOPPING = "stopping"  # is being stopped
    ENDED = "ended"
    WITHDRAWN = "withdrawn"  # stopped before it started
    CHANGED = "changed"  # label, tags or flags
    TRIALS = "trials"  # a batch committed a list of trials
    DELETED = "deleted"  # moved to the trash
    RESTORED = "restored"
    PURGED = "purged"
    PAUSED = "paused"  # nothing new starts
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change, of however many runs; numbered in the order of commits from 1."""

    number: int
    time: float  # seconds since 1970
    kind: EventKind
    runs: tuple[str, ...] = ()
    status: Status | None = None  # of all the runs named, after the change
    reason: str | None = None
    batch: str | None = None  # whose trials they are, or were
    generation: int | None = None  # that the change committed
