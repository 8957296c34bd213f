"""restart: run a run again, in place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread

from rund.api.params import RestartParams
from rund.engine import lifecycle
from rund.engine.restart import RestartAction, restart_action
from rund.errors import BusyError, InvalidError
from rund.handlers.context import Call, Context, Reply
from rund.handlers.run import (
    SourceGoneError,
    Taken,
    assignments,
    check_slots,
    keep_source,
    read_environment,
    reply,
    take_source,
)
from rund.model.event import EventKind
from rund.model.operation import Operation
from rund.model.run import Run, Spec
from rund.model.status import Status
from rund.model.values import trial_key
from rund.operations.assign import BatchValueError, assign_flags
from rund.operations.find import find_operation
from rund.operations.stored import operation_from_json, operation_to_json
from rund.operations.update import same_flags, updated_flags
from rund.store.reader import Reader
from rund.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a restart would run a run with."""

    spec: Spec
    same_flags: bool


async def restart(context: Context, call: Call[RestartParams]) -> Reply:
    """Run a run again under its own id, with its flags changed by those given."""
    params = call.params
    check_slots(context, params.slots)
    if params.update_env and params.env is None:
        raise InvalidError("env: update_env takes the environment from env: send it", field="env")
    while True:
        taken = await _take(context, params) if params.update_source else None
        try:
            return await context.change(call.request, partial(_restart, context=context, params=params, taken=taken))
        except SourceGoneError:
            continue


def _restart(transaction: Transaction, *, context: Context, params: RestartParams, taken: Taken | None) -> Reply:
    run = transaction.resolve(params.run)
    wanted = _wanted(transaction, run, params, taken)
    if params.stage:
        return _restage(context, transaction, run, wanted, dry_run=params.dry_run)
    match restart_action(run, same_flags=wanted.same_flags, needed=params.needed):
        case RestartAction.BUSY:
            raise BusyError(_busy(run, needed=params.needed))
        case RestartAction.SKIP:
            return reply(context, run, skipped=[run.id])
        case RestartAction.KEEP:
            return reply(context, run, kept=[run.id])
        case RestartAction.QUEUE:
            place = transaction.next_place()
            after = lifecycle.queue(run, wanted.spec, now=context.now(), place=place)
        case RestartAction.QUEUE_AFTER_END:
            after = lifecycle.queue_after_end(run, wanted.spec)
    if params.dry_run:
        return reply(context, run, restarted=[run.id])
    if taken is not None:
        keep_source(context, transaction, wanted.spec.setup)
    transaction.save_run(after)
    transaction.add_event(EventKind.QUEUED, context.now(), [run.id], status=after.status, reason=after.reason)
    return reply(context, after, restarted=[run.id])


def _restage(context: Context, transaction: Transaction, run: Run, wanted: _Wanted, *, dry_run: bool) -> Reply:
    if run.status is not Status.STAGED:
        raise InvalidError(
            f"stage: run {run.id[:8]} is {run.status}; a single run can be staged only before it has started",
            field="stage",
        )
    after = replace(run, spec=wanted.spec)
    if not dry_run and after != run:
        transaction.save_run(after)
        transaction.add_event(EventKind.CHANGED, context.now(), [run.id], status=after.status)
    return reply(context, run if dry_run else after, kept=[run.id])


def _wanted(transaction: Transaction, run: Run, params: RestartParams, taken: Taken | None) -> _Wanted:
    present = run.next_spec or run.spec
    setup, flags = present.setup, present.flags
    operation = operation_from_json(transaction.operation(setup.operation))
    if taken is not None:
        operation = taken.operation
        flags = updated_flags(operation, flags, setup.given)
        setup = replace(
            setup,
            operation=transaction.add_operation(operation_to_json(operation)),
            source=taken.source,
            commit=taken.commit,
        )
    if params.update_env:
        body = json.dumps(read_environment(params.env or {}))
        setup = replace(setup, environment=transaction.add_environment(body))
    try:
        assigned = assign_flags(
            operation,
            assignments(params.args, params.flags),
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


async def _take(context: Context, params: RestartParams) -> Taken:
    """Take the operation as it is today."""

    def query(reader: Reader) -> tuple[Operation, dict[str, str]]:
        setup = reader.resolve(params.run).spec.setup
        return operation_from_json(reader.operation(setup.operation)), json.loads(reader.environment(setup.environment))

    operation, environment = await context.store.read(query)
    find = partial(find_operation, operation.target, cwd=Path(operation.cwd), env=environment)
    found = await anyio.to_thread.run_sync(find)
    return await anyio.to_thread.run_sync(take_source, context, found)
