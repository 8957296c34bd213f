"""What the daemon answers, as maps that the wire carries."""

from __future__ import annotations

from typing import TypedDict

from rund.model.event import Event
from rund.model.run import Attempt, Run
from rund.model.values import Flags


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
    """What a ``run`` or ``restart`` did, or would do: ids in each list; in a dry run, flags in ``created``."""

    created: list[str] | list[Flags]
    restarted: list[str]
    skipped: list[str]
    kept: list[str]
    taken_back: list[str]
    orphaned: list[str]
    deleted: list[str]


class EventMap(TypedDict):
    """One numbered change."""

    number: int
    time: float
    kind: str
    runs: list[str]
    status: str | None
    reason: str | None


def run_map(run: Run, directory: str) -> RunMap:
    """The flat map of ``run``, whose own directory is ``directory``."""
    return RunMap(
        id=run.id,
        operation=run.operation,
        status=run.status.value,
        reason=run.reason,
        flags=run.spec.flags,
        label=run.label,
        tags=list(run.tags),
        batch=None,
        made_by=None,
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


def attempt_map(attempt: Attempt) -> AttemptMap:
    """The map of one attempt; its environment is told apart, for it may hold secrets."""
    usage = attempt.usage
    return AttemptMap(
        attempt=attempt.number,
        status=attempt.status.value,
        reason=attempt.reason,
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


def plan_map(
    *,
    created: list[str] | list[Flags] | None = None,
    restarted: list[str] | None = None,
    skipped: list[str] | None = None,
    kept: list[str] | None = None,
) -> PlanMap:
    """A plan in which nothing happens but what is given."""
    return PlanMap(
        created=created or [],
        restarted=restarted or [],
        skipped=skipped or [],
        kept=kept or [],
        taken_back=[],
        orphaned=[],
        deleted=[],
    )


def event_map(event: Event) -> EventMap:
    """The map of one event."""
    return EventMap(
        number=event.number,
        time=event.time,
        kind=event.kind.value,
        runs=list(event.runs),
        status=None if event.status is None else event.status.value,
        reason=event.reason,
    )
