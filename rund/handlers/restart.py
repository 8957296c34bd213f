"""restart: run a run or a batch again, in place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rund.api.params import RestartParams
from rund.engine import lifecycle
from rund.engine.restart import RestartAction, restart_action
from rund.errors import BusyError, InvalidError
from rund.handlers.batches import ChangedError, restart_batch
from rund.handlers.context import Call, Context, Reply, check_whole
from rund.handlers.preparing import Preparation, prepare
from rund.handlers.replies import single_reply
from rund.handlers.taking import (
    SourceGoneError,
    Taken,
    add_contents,
    check_slots,
    find,
    read_environment,
    take_source,
    with_contents,
)
from rund.model.event import EventKind
from rund.model.operation import Operation
from rund.model.run import Run, Spec
from rund.model.status import Status
from rund.model.values import trial_key
from rund.operations.assign import BatchValueError, assign_flags, read_args, read_typed
from rund.operations.stored import environment_from_json, operation_from_json
from rund.operations.update import same_flags, updated_flags
from rund.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a restart would run a run with."""

    spec: Spec
    same_flags: bool


async def restart(context: Context, call: Call[RestartParams]) -> Reply:
    """Run a run or a batch again under its own id, with its flags changed by those given."""
    params = call.params
    check_slots(context, params.slots)
    if params.update_env and params.env is None:
        raise InvalidError("env: update_env takes the environment from env: send it", field="env")
    while True:
        run = check_whole(await context.store.read(lambda reader: reader.resolve(params.run)))
        try:
            async with prepare(context.preparing, call.peer) as preparation:
                return await _restart_one(preparation, context, call, run)
        except (SourceGoneError, ChangedError):
            continue


async def _restart_one(preparation: Preparation, context: Context, call: Call[RestartParams], run: Run) -> Reply:
    params = call.params
    taken = await _take(preparation, context, run, copy=not params.dry_run) if params.update_source else None
    if run.is_batch:
        return await restart_batch(preparation, context, call, run.id, taken)
    _check_single(params)
    change = partial(_restart, context=context, params=params, before=run, taken=taken)
    return await context.change(call.request, change)


def _check_single(params: RestartParams) -> None:
    """Raise `InvalidError` for an option that only a batch has."""
    for name in ("rows", "optimizer", "max_trials", "jobs", "retries", "fail_fast"):
        if getattr(params, name) is not None:
            raise InvalidError(f"{name}: this is a single run or a trial: only a batch has it", field=name)


def _restart(
    transaction: Transaction, *, context: Context, params: RestartParams, before: Run, taken: Taken | None
) -> Reply:
    run = check_whole(transaction.resolve(before.id))
    if taken is not None and run.spec.setup.operation != before.spec.setup.operation:
        raise ChangedError  # another client was faster: what was taken may be another operation's
    environment = json.dumps(read_environment(params.env or {})) if params.update_env else None
    wanted = _wanted(transaction, run, params, taken, environment)
    match restart_action(run, same_flags=wanted.same_flags, needed=params.needed):
        case RestartAction.BUSY:
            raise BusyError(_busy(run, needed=params.needed))
        case RestartAction.SKIP:
            return single_reply(context, transaction, run, skipped=[run.id])
        case RestartAction.KEEP:
            return single_reply(context, transaction, run, kept=[run.id])
        case RestartAction.QUEUE | RestartAction.QUEUE_AFTER_END if params.stage:
            after, plan = _restaged(run, wanted), {"kept": [run.id]}
        case RestartAction.QUEUE:
            place = transaction.next_place()
            after, plan = lifecycle.queue(run, wanted.spec, now=context.now(), place=place), {"restarted": [run.id]}
        case RestartAction.QUEUE_AFTER_END:
            after, plan = lifecycle.queue_after_end(run, wanted.spec), {"restarted": [run.id]}
    if not params.dry_run:
        add_contents(context, transaction, wanted.spec.setup, taken, environment)
        after = _save(transaction, run, after, same_flags=wanted.same_flags, now=context.now())
    return single_reply(context, transaction, after, **plan)


def _save(transaction: Transaction, run: Run, after: Run, *, same_flags: bool, now: float) -> Run:
    """Save what the run has become, and tell of it; a trial whose flags change leaves its batch's trials."""
    if run.batch is not None and not same_flags:
        after = replace(after, batch=None, position=None)
    transaction.save_run(after)
    if run.batch is not None and after.batch is None:
        transaction.publish_left(run.batch, now)
    kind = EventKind.CHANGED if after.status is Status.STAGED else EventKind.QUEUED
    transaction.add_event(kind, now, [run.id], status=after.status, reason=after.reason, batch=after.batch)
    return after


def _restaged(run: Run, wanted: _Wanted) -> Run:
    if run.status is not Status.STAGED:
        raise InvalidError(
            f"stage: run {run.id[:8]} is {run.status}; a single run can be staged only before it has started",
            field="stage",
        )
    return replace(run, spec=wanted.spec)


def _wanted(
    transaction: Transaction, run: Run, params: RestartParams, taken: Taken | None, environment: str | None
) -> _Wanted:
    present = run.next_spec or run.spec
    setup, flags = present.setup, present.flags
    operation = operation_from_json(transaction.operation(setup.operation))
    if taken is not None:
        flags = updated_flags(operation, taken.operation, flags, setup.given)
        operation = taken.operation
    setup = with_contents(setup, taken, environment, last_event=transaction.last_event())
    try:
        assigned = assign_flags(
            operation,
            read_args(params.args) if params.args else read_typed(params.flags),
            base=flags,
            given=setup.given,
            force=params.force_flags,
        )
    except BatchValueError as error:
        raise InvalidError(_single(error, run, operation), field=error.field) from None
    setup = replace(
        setup,
        given=assigned.given,
        random_seed=setup.random_seed if params.random_seed is None else params.random_seed,
        slots=params.slots or setup.slots,
        priority=setup.priority if params.priority is None else params.priority,
        clean=params.clean,
    )
    if taken is None:
        same = trial_key(present.flags) == trial_key(assigned.flags)
    else:
        same = same_flags(present.flags, operation, assigned.flags)
    return _Wanted(spec=Spec(setup=setup, flags=assigned.flags), same_flags=same)


def _single(error: BatchValueError, run: Run, operation: Operation) -> str:
    return (
        f"{error.message}: {run.id[:8]} is a single run and takes one value for each flag;"
        f" make a batch with runctl run {operation.name}"
    )


def _busy(run: Run, *, needed: bool) -> str:
    short = run.id[:8]
    what = f"run {short} is {run.reason or run.status}"
    if run.stopping:
        what = f"run {short} is being stopped and will run again after that"
    if needed:
        return f"{what} with other flags: wait for it (runctl wait {short}) or stop it (runctl stop {short})"
    return (
        f"{what}: wait for it (runctl wait {short}), stop it (runctl stop {short}),"
        " or give --needed to leave it as it is"
    )


async def _take(preparation: Preparation, context: Context, run: Run, *, copy: bool) -> Taken:
    """Take the operation of ``run`` as it is today."""
    setup = run.spec.setup
    operation = operation_from_json(await context.store.read(lambda reader: reader.operation(setup.operation)))
    environment = environment_from_json(await context.store.read(lambda reader: reader.environment(setup.environment)))
    found = await find(preparation, operation.target, Path(operation.cwd), environment)
    return await take_source(preparation, context, found, copy=copy)
