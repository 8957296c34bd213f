"""delete, restore, purge."""

from __future__ import annotations

from dataclasses import replace

from rund.api.params import DeleteParams, PurgeParams, RestoreParams
from rund.errors import BusyError
from rund.handlers.context import Call, Context, Reply, resolve_all
from rund.handlers.control import stop_runs
from rund.handlers.waiting import until_ended
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import LIVE
from rund.store.cleaning import remove_garbage
from rund.store.directories import run_folder
from rund.store.transaction import Transaction

_LEFT_TOLD = 100  # of what could not be removed


async def delete(context: Context, call: Call[DeleteParams]) -> Reply:
    """Move runs to the trash; with ``stop`` those that run are stopped first, and waited for."""
    params = call.params
    names = params.runs
    if params.stop:
        names = await context.store.write(lambda transaction: _stop(transaction, names, context.now()), urgent=True)
        await until_ended(context, names)

    def change(transaction: Transaction) -> Reply:
        now = context.now()
        runs = resolve_all(transaction, names)
        for run in runs:
            _check_rest(run)  # of a batch: its trials rest too
        batches = [run.id for run in runs if run.is_batch]
        trials = [trial for batch in batches for trial in transaction.trial_ids(batch)] if params.with_trials else []
        deleted = list(dict.fromkeys([*(run.id for run in runs), *trials]))
        for batch in batches:
            _disband(transaction, batch, set(deleted), now)
        leaving = {run.batch for run in runs if run.batch is not None} - set(batches)
        transaction.trash_runs(deleted, now)
        for batch in leaving:
            transaction.publish_left(batch, now)
        transaction.add_event(EventKind.DELETED, now, deleted)
        return {"runs": deleted}

    reply = await context.change(call.request, change, urgent=True)
    await remove_garbage(context.store)
    return reply


def _check_rest(run: Run) -> None:
    if run.status in LIVE:
        what = "batch" if run.is_batch else "run"
        raise BusyError(
            f"{what} {run.id[:8]} is {run.status}: stop it first (runctl stop {run.id[:8]}), or delete with --stop"
        )


def _disband(transaction: Transaction, batch: str, also: set[str], now: float) -> None:
    """Set a batch's trials free; those that never started, and are not deleted by name, are erased."""
    rows = transaction.trial_rows(batch)
    unstarted = [row.id for row in rows if not row.attempts and row.id not in also]
    transaction.delete_runs(unstarted)
    transaction.free_trials(batch, (row.id for row in rows))
    if unstarted:
        transaction.add_event(EventKind.PURGED, now, unstarted, batch=batch)
    if rows:
        transaction.publish_left(batch, now)


def _stop(transaction: Transaction, names: list[str], now: float) -> list[str]:
    runs = resolve_all(transaction, names)
    stop_runs(transaction, [run for run in runs if run.status in LIVE], now)
    return [run.id for run in runs]


async def restore(context: Context, call: Call[RestoreParams]) -> Reply:
    """Take runs out of the trash."""

    def change(transaction: Transaction) -> Reply:
        runs = resolve_all(transaction, call.params.runs, trash=True)
        for run in runs:
            transaction.save_run(replace(run, deleted=None))
        if runs:
            transaction.add_event(EventKind.RESTORED, context.now(), [run.id for run in runs])
        return {"runs": [run.id for run in runs]}

    return await context.change(call.request, change)


async def purge(context: Context, call: Call[PurgeParams]) -> Reply:
    """Erase runs of the trash for good; their folders are removed after the commit, as far as can be."""
    names = call.params.runs

    def change(transaction: Transaction) -> Reply:
        if names is None:
            purged = transaction.trash()
        else:
            purged = [run.id for run in resolve_all(transaction, names, trash=True)]
        directories = context.store.directories
        transaction.add_garbage(directories.garbage_of_attempt(token) for token in transaction.tokens(purged))
        transaction.add_garbage(map(run_folder, purged))
        transaction.purge_runs(purged)
        if purged:
            transaction.add_event(EventKind.PURGED, context.now(), purged)
        return {"runs": purged, "left": []}  # what is kept for who asks again has all names

    reply = await context.change(call.request, change, urgent=True)
    left = await remove_garbage(context.store)
    return reply | {"left": left[:_LEFT_TOLD]}
