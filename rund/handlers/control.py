"""start, stop, pause, resume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rund.api.params import PauseParams, ResumeParams, StartParams, StopParams
from rund.api.results import RunMap
from rund.engine import lifecycle
from rund.errors import BusyError, InvalidError
from rund.handlers.context import Call, Context, Reply, check_whole, resolve_all
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import Status
from rund.store.reader import Reader
from rund.store.transaction import Transaction


async def start(context: Context, call: Call[StartParams]) -> Reply:
    """Queue staged runs, and the staged trials of batches."""

    def change(transaction: Transaction) -> Reply:
        now = context.now()
        named = resolve_all(transaction, call.params.runs)
        queued = _start(transaction, named, now)
        transaction.add_event(EventKind.QUEUED, now, queued, status=Status.PENDING)
        transaction.settle(now)
        return {"runs": present(context, transaction, named)}

    return await context.change(call.request, change)


def _start(transaction: Transaction, named: list[Run], now: float) -> list[str]:
    """Queue what is staged of ``named``, in their order; answers the ids of all that is queued."""
    batches = {run.id for run in named if run.is_batch}
    queued: list[str] = []
    for run in named:
        check_whole(run)
        if run.is_batch:
            queued += _start_batch(transaction, run, now)
        else:
            _check_staged(run)
            if run.batch not in batches:  # else it is queued with the others of its batch
                transaction.save_run(lifecycle.queue(run, run.spec, now=now, place=transaction.next_place()))
                queued.append(run.id)
    return queued


def _start_batch(transaction: Transaction, batch: Run, now: float) -> list[str]:
    queued = transaction.queue_staged(batch.id, now)
    if not queued:
        short = batch.id[:8]
        raise InvalidError(
            f"batch {short} has no staged trials: runctl restart {short} --needed runs what is not completed"
        )
    transaction.save_run(replace(batch, started=now, stopped=None))
    transaction.set_stopped(batch.id, stopped=False)
    transaction.retry_anew(batch.id)
    return queued


def _check_staged(run: Run) -> None:
    if run.status in (Status.PENDING, Status.RUNNING):
        raise BusyError(f"run {run.id[:8]} is {run.status} already")
    if run.status is not Status.STAGED:
        raise InvalidError(f"run {run.id[:8]} is {run.status}, not staged: runctl restart {run.id[:8]} runs it again")


async def stop(context: Context, call: Call[StopParams]) -> Reply:
    """Withdraw what waits, and record that what runs is to be stopped; the executor carries it through."""

    def change(transaction: Transaction) -> Reply:
        runs = resolve_all(transaction, call.params.runs)
        stopped = [run.id for run in runs if _is_live(transaction, run)]
        stop_runs(transaction, runs, context.now())
        return {"runs": present(context, transaction, runs), "stopped": stopped}

    return await context.change(call.request, change, urgent=True)


def _is_live(reader: Reader, run: Run) -> bool:
    """Whether there is anything to stop of a run, or of the trials of a batch."""
    if run.is_batch:
        counts = reader.trial_counts(run.id)
        return any(counts[status] for status in (Status.PENDING, Status.RUNNING))
    return run.status in (Status.PENDING, Status.RUNNING)


def stop_runs(transaction: Transaction, named: list[Run], now: float) -> None:
    """Stop ``named`` runs and the trials of the batches among them, and tell of it."""
    runs = {run.id: run for run in named if not run.is_batch}
    pending = [run.id for run in runs.values() if run.status is Status.PENDING]
    for batch in named:
        if batch.is_batch:
            transaction.set_stopped(batch.id, stopped=True)
            pending += transaction.pending_trials(batch.id)
            runs |= {trial.id: trial for trial in transaction.trials(batch.id, [Status.RUNNING])}
    transaction.withdraw_all(dict.fromkeys(pending), now)
    running = [run for run in runs.values() if run.status is Status.RUNNING and lifecycle.stop(run) != run]
    for run in running:
        transaction.save_run(lifecycle.stop(run))
    if running:
        ids = [run.id for run in running]
        transaction.add_event(EventKind.STOPPING, now, ids, status=Status.RUNNING, reason=lifecycle.STOPPING)
    transaction.settle(now)


def present(context: Context, transaction: Transaction, runs: list[Run]) -> list[RunMap]:
    """The maps of ``runs`` as they are now."""
    found = (transaction.find(run.id) for run in runs)
    return [context.run_map(transaction, run) for run in found if run is not None]


async def pause(context: Context, call: Call[PauseParams]) -> Reply:
    """Start nothing new, of one batch or at all; what runs goes on."""
    return await _set_paused(context, call, paused=True)


async def resume(context: Context, call: Call[ResumeParams]) -> Reply:
    """Lift a pause, of one batch or of all."""
    return await _set_paused(context, call, paused=False)


async def _set_paused(context: Context, call: Call[Any], *, paused: bool) -> Reply:
    name: str | None = call.params.batch

    def change(transaction: Transaction) -> Reply:
        kind = EventKind.PAUSED if paused else EventKind.RESUMED
        if name is not None:
            batch = transaction.resolve(name)
            if not batch.is_batch:
                raise InvalidError(f"batch: {batch.id[:8]} is a single run: only batches can be paused", field="batch")
            transaction.set_batch_paused(batch.id, paused=paused)
            transaction.add_event(kind, context.now(), [batch.id], batch=batch.id)
        else:
            transaction.set_paused(paused=paused)
            if not paused:
                transaction.resume_batches()
            transaction.add_event(kind, context.now())
        return {"paused": paused}

    return await context.change(call.request, change, urgent=True)
