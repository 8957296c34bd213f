"""Batches: what their trials are generated from, and what their status follows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rund.model.space import Optimizer, Space
from rund.model.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """What a batch keeps to generate from, besides its setup (operation, source, environment, seed, slots)."""

    space: Space
    rows: str | None = None  # of the file that it was made from, as the operations part writes them
    optimizer: Optimizer = Optimizer.GRID
    optimizer_named: bool = False  # False: it follows from the flags
    max_trials: int | None = None
    jobs: int | None = None  # how many of its trials may run at once; None: as many as there are slots
    retries: int = 0  # times that a trial which ends in error is started again by itself, per restart
    fail_fast: bool = False  # the first trial that ends in error withdraws those that wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch's own part; the rest is that of a run."""

    prototype: Prototype
    stopped: bool = False  # by `stop`, since its last restart or start
    paused: bool = False  # none of its trials is to start


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a batch's trials are executed."""

    jobs: int | None
    retries: int
    fail_fast: bool
    paused: bool


def batch_status(counts: Mapping[Status, int], *, stopped: bool) -> Status:
    """The status of a batch whose trials are ``counts`` by status: the first that holds."""
    have = {status for status, number in counts.items() if number}
    if have & {Status.RUNNING, Status.PENDING}:
        return Status.RUNNING
    if stopped and have - {Status.COMPLETED}:
        return Status.TERMINATED
    if Status.STAGED in have:
        return Status.STAGED
    if have & {Status.ERROR, Status.TERMINATED}:
        return Status.ERROR
    return Status.COMPLETED
