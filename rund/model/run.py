"""Runs and their attempts, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from rund.model.status import Status
from rund.model.values import Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that a start of a run is made from, but its flags: many runs share one.

    ``operation``, ``source`` and ``environment`` are digests of what the store keeps once per content.
    """

    operation: str
    source: str | None  # None: it is run in place
    environment: str
    commit: str | None = None  # of version control, when the source was taken
    taken: int = 0  # the last event before a restart took the operation anew; of two setups the higher one is newer
    given: frozenset[str] = frozenset()  # flags that the user gave; the rest are the operation's defaults
    random_seed: int
    slots: int = 1
    priority: int = 0  # higher starts first
    inputs: tuple[tuple[str, str], ...] = ()  # (name in the run's directory, absolute target)
    clean: bool = False  # empty the run's directory first


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What one start of a run is made from."""

    setup: Setup
    flags: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an attempt used: bytes and seconds."""

    max_rss: int
    user_time: float
    system_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of a run.  Times are seconds since 1970; what is not known is None."""

    number: int  # 1 is the first
    token: str  # unique for ever: names the attempt's own directory
    spec: Spec
    started: float
    stopped: float | None = None
    status: Status = Status.RUNNING
    reason: str | None = None
    exit_status: int | None = None
    signal: int | None = None
    command: tuple[str, ...] = ()
    host: str | None = None
    user: str | None = None
    boot_id: str | None = None
    usage: Usage | None = None
    scalars: dict[str, float] = field(default_factory=dict)
    place: int = 0  # in the queue, before it started
    damage: str | None = None  # what is wrong with its row, of which the rest cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One record of an operation run with flags."""

    id: str  # 32 lower-case hex digits
    operation: str  # its name, as users see it
    spec: Spec  # of the attempt that it shows, or of the start that it waits for
    status: Status
    reason: str | None = None
    label: str | None = None
    tags: tuple[str, ...] = ()
    created: float
    queued: float | None = None  # when it was asked to run, while it is pending
    place: int | None = None  # in the queue, while it is pending
    started: float | None = None
    stopped: float | None = None
    exit_status: int | None = None
    signal: int | None = None
    attempts: int = 0
    starts: int = 0  # tokens ever given out: attempts, and those erased since
    scalars: dict[str, float] = field(default_factory=dict)
    stopping: bool = False  # rund has signalled it, or is about to
    next_spec: Spec | None = None  # of a restart asked for while it is being stopped: queued at its end
    deleted: float | None = None  # when it was moved to the trash
    made_by: str | None = None  # the batch that made it
    batch: str | None = None  # the batch that lists it
    position: int | None = None  # in that batch's trials
    retried: int = 0  # times that it was started again by itself since its restart
    generation: int | None = None  # of a batch's trials; None: it is no batch
    damage: str | None = None  # what is wrong with its row, of which the rest cannot be read: it is not started

    @property
    def is_batch(self) -> bool:
        """Whether it generates and owns trials."""
        return self.generation is not None


def list_time(run: Run) -> float:
    """The time by which `list` orders runs: of the start; else of the queueing; else of the making."""
    if run.status is Status.PENDING and run.queued is not None:
        return run.queued
    return run.created if run.started is None else run.started
