"""start, stop, pause, resume."""

from __future__ import annotations

from typing import Any

from rund.api.params import PauseParams, ResumeParams, StartParams, StopParams
from rund.engine import lifecycle
from rund.errors import BusyError, InvalidError
from rund.handlers.context import Call, Context, Reply, resolve_all
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import Status
from rund.store.transaction import Transaction


async def start(context: Context, call: Call[StartParams]) -> Reply:
    """Queue staged runs."""

    def change(transaction: Transaction) -> Reply:
        runs = resolve_all(transaction, call.params.runs)
        for run in runs:
            _check_staged(run)
        now = context.now()
        queued = [lifecycle.queue(run, run.spec, now=now, place=transaction.next_place()) for run in runs]
        for run in queued:
            transaction.save_run(run)
        if queued:
            transaction.add_event(EventKind.QUEUED, now, [run.id for run in queued], status=Status.PENDING)
        return {"runs": [context.run_map(run) for run in queued]}

    return await context.change(call.request, change)


def _check_staged(run: Run) -> None:
    if run.status in (Status.PENDING, Status.RUNNING):
        raise BusyError(f"run {run.id[:8]} is {run.status} already")
    if run.status is not Status.STAGED:
        raise InvalidError(f"run {run.id[:8]} is {run.status}, not staged: runctl restart {run.id[:8]} runs it again")


async def stop(context: Context, call: Call[StopParams]) -> Reply:
    """Withdraw what waits, and record that what runs is to be stopped; the executor carries it through."""

    def change(transaction: Transaction) -> Reply:
        runs = resolve_all(transaction, call.params.runs)
        return {"runs": [context.run_map(run) for run in stop_runs(transaction, runs, context.now())]}

    return await context.change(call.request, change)


def stop_runs(transaction: Transaction, runs: list[Run], now: float) -> list[Run]:
    """What ``runs`` become by being stopped, saved, with the events that tell of it."""
    stopped = [_stopped(transaction, run) for run in runs]
    for before, after in zip(runs, stopped, strict=True):
        if after != before:
            transaction.save_run(after)
    withdrawn = [after for before, after in zip(runs, stopped, strict=True) if before.status is Status.PENDING]
    for status in Status:
        ids = [run.id for run in withdrawn if run.status is status]
        if ids:
            transaction.add_event(EventKind.WITHDRAWN, now, ids, status=status, reason=lifecycle.STOPPED)
    stopping = [run.id for run in stopped if run.status is Status.RUNNING]
    if stopping:
        transaction.add_event(EventKind.STOPPING, now, stopping, status=Status.RUNNING, reason=lifecycle.STOPPING)
    return stopped


def _stopped(transaction: Transaction, run: Run) -> Run:
    match run.status:
        case Status.PENDING:
            last = transaction.attempt(run.id, run.attempts) if run.attempts else None
            return lifecycle.withdraw(run, last, reason=lifecycle.STOPPED)
        case Status.RUNNING:
            return lifecycle.stop(run)
        case Status.STAGED | Status.COMPLETED | Status.ERROR | Status.TERMINATED:
            return run


async def pause(context: Context, call: Call[PauseParams]) -> Reply:
    """Start nothing new; what runs goes on."""
    return await _set_paused(context, call, paused=True)


async def resume(context: Context, call: Call[ResumeParams]) -> Reply:
    """Lift a pause."""
    return await _set_paused(context, call, paused=False)


async def _set_paused(context: Context, call: Call[Any], *, paused: bool) -> Reply:
    def change(transaction: Transaction) -> Reply:
        if transaction.paused() is not paused:
            transaction.set_paused(paused=paused)
            transaction.add_event(EventKind.PAUSED if paused else EventKind.RESUMED, context.now())
        return {"paused": paused}

    return await context.change(call.request, change)
