"""run: make a run of an operation, or a batch of them, and queue it."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path

from rund.api.params import RestartParams, RunParams
from rund.engine import lifecycle
from rund.errors import InternalError, InvalidError, NotFoundError
from rund.handlers.batches import ChangedError, make_batch, prototype_of, restart_batch
from rund.handlers.context import Call, Context, Reply
from rund.handlers.flags import assign_given, read_given
from rund.handlers.generating import generate_trials, shown_flags
from rund.handlers.labels import mark
from rund.handlers.preparing import Once, Preparation, prepare
from rund.handlers.replies import single_reply
from rund.handlers.taking import (
    SourceGoneError,
    Taken,
    add_contents,
    check_slots,
    find,
    read_environment,
    take_source,
)
from rund.model.batch import Prototype
from rund.model.event import EventKind
from rund.model.operation import Operation
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status
from rund.operations.batch_rows import same_rows
from rund.operations.find import Found
from rund.operations.inputs import find_inputs
from rund.operations.stored import operation_from_json, operation_to_json
from rund.operations.stored_space import space_to_json
from rund.store.cleaning import remove_source
from rund.store.codec import digest
from rund.store.reader import Reader
from rund.store.transaction import Transaction

MAX_SEED = 2**32


async def run(context: Context, call: Call[RunParams]) -> Reply:
    """Make a run or a batch and queue it; with ``needed`` only what is not completed yet."""
    while True:
        try:
            async with prepare(context.preparing, call.peer) as preparation:
                return await _run(preparation, context, call)
        except (SourceGoneError, ChangedError):
            continue


async def _run(preparation: Preparation, context: Context, call: Call[RunParams]) -> Reply:
    params = call.params
    check_slots(context, params.slots)
    environment = read_environment(params.env)
    found = await find(preparation, params.operation, Path(params.cwd), environment)
    project = Path(found.operation.project_dir)
    inputs = await preparation.in_folder(
        params.cwd, find_inputs, [*found.inputs, *params.inputs], Path(params.cwd), project
    )
    source = preparation.before_large(partial(take_source, preparation, context, found, copy=not params.dry_run))
    try:
        return await _run_found(preparation, context, call, (found, source), (environment, inputs))
    except InvalidError:
        if source.answer is not None and source.answer.source is not None and not params.dry_run:
            await remove_source(context.store, source.answer.source)
        raise


async def _run_found(
    preparation: Preparation,
    context: Context,
    call: Call[RunParams],
    operation: tuple[Found, Once[Taken]],
    surroundings: tuple[dict[str, str], tuple[tuple[str, str], ...]],
) -> Reply:
    """``operation`` is what was found and its source, ``surroundings`` are the environment and the inputs."""
    params = call.params
    found, source = operation
    environment, inputs = surroundings
    given = await read_given(preparation, params, params.cwd)
    assigned = await assign_given(
        preparation,
        found.operation,
        given,
        base=None,
        before=frozenset(),
        force=params.force_flags,
        has_rows=given.rows is not None,
    )
    is_batch = assigned.is_batch or given.rows is not None or params.optimizer is not None
    if not is_batch:
        _check_single(params)
    prototype = prototype_of(assigned.space, given.rows, params) if is_batch else None
    environment_text = json.dumps(environment)
    operation_text = operation_to_json(found.operation)
    seed = secrets.randbelow(MAX_SEED) if params.random_seed is None else params.random_seed
    setup = Setup(
        operation=digest(operation_text),
        source=None,
        environment=digest(environment_text),
        given=assigned.given,
        random_seed=seed,
        slots=params.slots or 1,
        priority=params.priority,
        inputs=inputs,
    )
    if prototype is not None and params.needed:
        again = await context.store.read(lambda reader: _same_batch(reader, found.operation, prototype, params))
        if again is not None:
            try:
                marks = partial(mark, label=params.label, tags=params.tags)
                return await restart_batch(preparation, context, _as_restart(call, again), again.id, None, marks)
            except NotFoundError:
                raise ChangedError from None  # it was deleted meanwhile
    generated = None
    if prototype is not None:
        force = params.force_flags
        generated = await generate_trials(preparation, prototype, found.operation, setup, force=force)
    taken = await source.get()
    fixed = assigned.space.fixed
    setup = replace(setup, source=taken.source, commit=taken.commit)

    def change(transaction: Transaction) -> Reply:
        if prototype is None or generated is None:
            return _make(context, transaction, params, (taken, environment_text), Spec(setup=setup, flags=fixed))
        if params.needed and _same_batch(transaction, found.operation, prototype, params) is not None:
            raise ChangedError  # another client was faster: its batch is restarted
        if not params.dry_run:
            add_contents(context, transaction, setup, taken, environment_text)
        return make_batch(context, transaction, call, taken, (setup, prototype, generated))

    return await context.change(call.request, change)


def _make(
    context: Context, transaction: Transaction, params: RunParams, contents: tuple[Taken, str], spec: Spec
) -> Reply:
    """Make a single run, and queue it unless it is to be staged; ``contents`` are its source and environment."""
    taken, environment = contents
    name = taken.operation.name
    if params.needed:
        done = transaction.completed_equal(name, taken.source, spec.flags)
        # Without a source to compare, it is the program that must be the same.
        if done is not None and (taken.source is not None or _is_same(taken.operation, transaction, done)):
            if not params.dry_run:
                done = mark(transaction, done, label=params.label, tags=params.tags, now=context.now())
            return single_reply(context, transaction, done, skipped=[done.id])
    if params.dry_run:
        return single_reply(context, transaction, None, created=[spec.flags])
    add_contents(context, transaction, spec.setup, taken, environment)
    now = context.now()
    made = Run(
        id=context.new_id(),
        operation=name,
        spec=spec,
        status=Status.STAGED,
        label=params.label or None,
        tags=tuple(sorted(set(params.tags))),
        created=now,
    )
    if not params.stage:
        made = lifecycle.queue(made, spec, now=now, place=transaction.next_place())
    transaction.add_run(made)
    transaction.add_event(EventKind.CREATED, now, [made.id], status=made.status)
    return single_reply(context, transaction, made, created=[made.id])


def _check_single(params: RunParams) -> None:
    """Raise `InvalidError` for an option that only a batch has."""
    options = {
        "max_trials": params.max_trials,
        "jobs": params.jobs,
        "retries": params.retries or None,
        "fail_fast": params.fail_fast or None,
    }
    for name, value in options.items():
        if value is not None:
            raise InvalidError(
                f"{name}: a single run has no trials: give a flag a list, such as NAME=[1,2], for a batch", field=name
            )


def _same_batch(reader: Reader, operation: Operation, prototype: Prototype, params: RunParams) -> Run | None:
    """The newest batch of the same operation, flags and options; None if there is none."""
    wanted = space_to_json(prototype.space, texts=False)
    for batch in reader.batches_of(f"{operation.name}+", shown_flags(prototype.space)):
        try:
            other = reader.batch(batch.id).prototype
        except InvalidError:
            continue  # it is damaged
        if (
            _is_same(operation, reader, batch)
            and space_to_json(other.space, texts=False) == wanted
            and same_rows(other.rows, prototype.rows)
            and (other.optimizer, other.max_trials) == (prototype.optimizer, prototype.max_trials)
            and params.random_seed in (None, batch.spec.setup.random_seed)
        ):
            return batch
    return None


def _is_same(operation: Operation, reader: Reader, run: Run) -> bool:
    """Whether ``run`` is one of this operation: of the same project, whatever its source is today."""
    try:
        other = operation_from_json(reader.operation(run.spec.setup.operation))
    except (InternalError, InvalidError):
        return False  # it is lost or damaged
    return (other.kind, other.entry, other.project_dir) == (operation.kind, operation.entry, operation.project_dir)


def _as_restart(call: Call[RunParams], batch: Run) -> Call[RestartParams]:
    """The restart of ``batch`` that ``run --needed`` is."""
    params = call.params
    asked = RestartParams(
        request_id=params.request_id,
        run=batch.id,
        needed=True,
        dry_run=params.dry_run,
        stage=params.stage,
        slots=params.slots,
        priority=params.priority or None,
        jobs=params.jobs,
        retries=params.retries or None,
        fail_fast=params.fail_fast or None,
    )
    return Call(peer=call.peer, params=asked, request=call.request)
