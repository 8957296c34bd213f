"""The shapes of the daemon's answers that `rund.api.results` does not name; for type checkers, never loaded."""

from __future__ import annotations

from typing import Any, TypedDict

from rund.api.results import AttemptMap, EventMap, PlanMap, RunMap


class RunAnswer(TypedDict):
    """Of ``run`` and ``restart``; ``trials`` is None of a single run, and a count where they are too many to list."""

    run: RunMap | None
    generation: int | None
    trials: list[str] | int | None
    plan: PlanMap
    truncated: bool
    outdated: int


class RunsAnswer(TypedDict):
    """Of ``start``, ``stop`` and ``set``."""

    runs: list[RunMap]


class IdsAnswer(TypedDict):
    """Of ``delete`` and ``restore``."""

    runs: list[str]


class PurgeAnswer(IdsAnswer):
    """Of ``purge``; ``left``: what could not be removed, each as ``PATH: why``."""

    left: list[str]


class ListAnswer(RunsAnswer):
    """Of ``list``."""

    total: int
    next: str | None
    generation: int | None


class WaitAnswer(RunsAnswer):
    """Of ``wait``."""

    done: bool


class OperationMap(TypedDict):
    """The operation that ``show`` tells of."""

    name: str
    kind: str
    entry: str
    project_dir: str
    flags: list[dict[str, Any]]


class BatchOptionsMap(TypedDict):
    """How a batch's trials are executed."""

    jobs: int | None
    retries: int
    fail_fast: bool
    paused: bool


class ShowAnswer(TypedDict):
    """Of ``show``."""

    run: RunMap
    attempts: list[AttemptMap]
    operation: OperationMap
    slots: int
    priority: int
    environment: dict[str, str | bytes] | None
    waits_for: str | None
    hint: str | None
    batch_options: BatchOptionsMap | None


class OutputAnswer(TypedDict):
    """Of ``output``; ``end``: that attempt is over and nothing comes after ``next``.

    ``size`` bytes were written, of which the first ``dropped`` are not kept.
    """

    data: bytes
    attempt: int | None
    offset: int
    next: int
    end: bool
    size: int
    dropped: int


class EventsAnswer(TypedDict):
    """Of ``events``; ``reset``: some are not kept any more."""

    events: list[EventMap]
    last: int
    reset: bool


class SettingMap(TypedDict):
    """One setting that ``status`` tells of."""

    name: str
    value: Any
    origin: str
    help: str


class StatusAnswer(TypedDict):
    """Of ``status``."""

    pid: int
    version: str
    home: str
    socket: str
    started: float
    slots: int
    used: int
    paused: bool
    counts: dict[str, int]
    settings: list[SettingMap]
    fault: str | None
