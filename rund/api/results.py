"""What the daemon answers, as maps that the wire carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast

from rund.model.event import Event
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.model.values import Flags

LONGEST_LIST: Final = 10_000


class RunMap(TypedDict):
    """A run, here and in ``--json``.  Times are seconds since 1970; what is not known is null."""

    id: str
    operation: str
    status: str
    reason: str | None
    flags: Flags
    label: str | None
    tags: list[str]
    batch: str | None
    made_by: str | None
    random_seed: int
    created: float
    started: float | None
    stopped: float | None
    exit_status: int | None
    signal: int | None
    attempts: int
    dir: str
    scalars: dict[str, float]


class BatchMap(RunMap):
    """A batch: what any run has, and what its trials come from and to."""

    generation: int
    max_trials: int | None
    optimizer: str
    trial_count: int
    counts: dict[str, int]


class AttemptMap(TypedDict):
    """One attempt of a run, as ``show`` tells it."""

    attempt: int
    status: str
    reason: str | None
    flags: Flags
    random_seed: int
    started: float
    stopped: float | None
    exit_status: int | None
    signal: int | None
    command: list[str]
    source: str | None
    commit: str | None
    host: str | None
    user: str | None
    max_rss: int | None
    user_time: float | None
    system_time: float | None
    scalars: dict[str, float]


class PlanMap(TypedDict):
    """What a ``run`` or ``restart`` did, or would do: ids in each list, or how many there are if they are too many.

    In a dry run ``created`` lists flags.
    """

    created: list[str] | list[Flags] | int
    restarted: list[str] | int
    skipped: list[str] | int
    kept: list[str] | int
    taken_back: list[str] | int
    orphaned: list[str] | int
    deleted: list[str] | int


class EventMap(TypedDict):
    """One numbered change."""

    number: int
    time: float
    kind: str
    runs: list[str]
    status: str | None
    reason: str | None
    batch: str | None
    generation: int | None


def run_map(run: Run, directory: str, *, reason: str | None) -> RunMap:
    """The flat map of ``run``, whose own directory is ``directory``; ``reason``: why it is pending, or why it ended."""
    return RunMap(
        id=run.id,
        operation=run.operation,
        status=run.status.value,
        reason=reason,
        flags=run.spec.flags,
        label=run.label,
        tags=list(run.tags),
        batch=run.batch,
        made_by=run.made_by,
        random_seed=run.spec.setup.random_seed,
        created=run.created,
        started=run.started,
        stopped=run.stopped,
        exit_status=run.exit_status,
        signal=run.signal,
        attempts=run.attempts,
        dir=directory,
        scalars=run.scalars,
    )


def batch_map(
    run: Run, directory: str, *, optimizer: str, max_trials: int | None, counts: Mapping[Status, int]
) -> BatchMap:
    """The flat map of the batch ``run``; ``counts`` are those of its trials."""
    return BatchMap(
        **run_map(run, directory, reason=run.reason),
        generation=run.generation or 0,
        max_trials=max_trials,
        optimizer=optimizer,
        trial_count=sum(counts.values()),
        counts={status.value: number for status, number in counts.items()},
    )


def attempt_map(attempt: Attempt) -> AttemptMap:
    """The map of one attempt; its environment is told apart, for it may hold secrets."""
    usage = attempt.usage
    return AttemptMap(
        attempt=attempt.number,
        status=attempt.status.value,
        reason=attempt.reason if attempt.damage is None else f"damaged: {attempt.damage}",
        flags=attempt.spec.flags,
        random_seed=attempt.spec.setup.random_seed,
        started=attempt.started,
        stopped=attempt.stopped,
        exit_status=attempt.exit_status,
        signal=attempt.signal,
        command=list(attempt.command),
        source=attempt.spec.setup.source,
        commit=attempt.spec.setup.commit,
        host=attempt.host,
        user=attempt.user,
        max_rss=None if usage is None else usage.max_rss,
        user_time=None if usage is None else usage.user_time,
        system_time=None if usage is None else usage.system_time,
        scalars=attempt.scalars,
    )


def plan_map(**lists: list[Any]) -> PlanMap:
    """A plan in which nothing happens but what is given."""
    names = PlanMap.__annotations__
    return cast(PlanMap, {name: bounded(lists.get(name, [])) for name in names})


def bounded(values: list[Any]) -> list[Any] | int:
    """A list that the wire carries whole, or how many there are."""
    return values if len(values) <= LONGEST_LIST else len(values)


def event_map(event: Event) -> EventMap:
    """The map of one event."""
    return EventMap(
        number=event.number,
        time=event.time,
        kind=event.kind.value,
        runs=list(event.runs),
        status=None if event.status is None else event.status.value,
        reason=event.reason,
        batch=event.batch,
        generation=event.generation,
    )
