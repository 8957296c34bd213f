"""Makes batches, and restarts them: everything is decided and queued in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from rund.api.params import RestartParams, RunParams
from rund.engine.trials import optimizer_for
from rund.errors import NotFoundError
from rund.handlers.context import Call, Context, Reply
from rund.handlers.flags import assign_given, read_given
from rund.handlers.generating import Generated, generate_trials, shown_flags
from rund.handlers.preparing import Preparation
from rund.handlers.reconciling import Outcome, Reconciliation, apply_plan, outcome_of, plan_of
from rund.handlers.replies import batch_reply
from rund.handlers.taking import Taken, add_contents, read_environment, with_contents
from rund.model.batch import Batch, Prototype
from rund.model.operation import Operation
from rund.model.run import Run, Setup, Spec
from rund.model.space import Optimizer, Space
from rund.model.status import Status
from rund.operations.batch_assign import updated_space
from rund.operations.batch_rows import BatchRows, rows_from_json, rows_to_json, updated_rows
from rund.operations.stored import operation_from_json
from rund.store.cleaning import remove_garbage
from rund.store.reader import Reader
from rund.store.transaction import Transaction


class ChangedError(Exception):
    """The batch was changed by another client between reading it and restarting it: it is read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Present:
    """A batch as it was read."""

    run: Run
    batch: Batch
    prototype_text: str
    operation: Operation
    last_event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A batch as it is to be from now on; the setup's contents may still have to be added to the store."""

    setup: Setup
    prototype: Prototype
    environment: str | None  # taken anew
    generated: Generated


def prototype_of(space: Space, rows: BatchRows | None, params: RunParams) -> Prototype:
    """The prototype of a new batch.  Raises `rund.errors.InvalidError` where its options do not go together."""
    named = None if params.optimizer is None else Optimizer(params.optimizer)
    return Prototype(
        space=space,
        rows=None if rows is None else rows_to_json(rows),
        optimizer=optimizer_for(space, named, rows=rows is not None),
        optimizer_named=named is not None,
        max_trials=params.max_trials,
        jobs=params.jobs,
        retries=params.retries,
        fail_fast=params.fail_fast,
    )


def make_batch(
    context: Context,
    transaction: Transaction,
    call: Call[RunParams],
    taken: Taken,
    made: tuple[Setup, Prototype, Generated],
) -> Reply:
    """Make a batch with its trials, queued unless they are to be staged."""
    params, now = call.params, context.now()
    setup, prototype, generated = made
    if params.dry_run:
        created = generated.shown(range(len(generated.texts)))
        return batch_reply(context, transaction, None, [], Outcome(created=created))
    batch = Run(
        id=context.new_id(),
        operation=f"{taken.operation.name}+",
        spec=Spec(setup=setup, flags=shown_flags(prototype.space)),
        status=Status.COMPLETED,  # as of a batch without trials; it follows from them
        label=params.label or None,
        tags=tuple(sorted(set(params.tags))),
        created=now,
        generation=0,
    )
    transaction.add_run(batch)
    transaction.save_batch(batch.id, Batch(prototype=prototype))
    wanted = Reconciliation(
        batch=batch, operation=taken.operation, generated=generated, needed=False, stage=params.stage
    )
    return _carry_out(context, transaction, wanted, now)


async def restart_batch(
    preparation: Preparation,
    context: Context,
    call: Call[RestartParams],
    batch_id: str,
    taken: Taken | None,
    mark: Callable[..., Run] | None = None,
) -> Reply:
    """Restart a batch in the seven steps of the specification.  Raises `ChangedError`.

    ``mark`` is called with the transaction, the batch and the time, and answers the batch with what it has changed.
    """
    params = call.params
    present = await context.store.read(lambda reader: _present(reader, batch_id))
    wanted = await _wanted(preparation, present, params, taken)

    def change(transaction: Transaction) -> Reply:
        now = context.now()
        again = _present(transaction, batch_id)
        if (again.prototype_text, again.run.spec.setup) != (present.prototype_text, present.run.spec.setup):
            raise ChangedError
        setup = wanted.setup
        batch = replace(again.run, spec=Spec(setup=setup, flags=shown_flags(wanted.prototype.space)))
        reconciliation = Reconciliation(
            batch=batch,
            operation=present.operation if taken is None else taken.operation,
            generated=wanted.generated,
            needed=params.needed,
            stage=params.stage,
        )
        if params.dry_run:
            return _dry_run(context, transaction, again.run, reconciliation)
        add_contents(context, transaction, setup, taken, wanted.environment)
        batch = batch if mark is None else mark(transaction, batch, now=now)
        transaction.save_run(batch)
        transaction.save_batch(batch.id, Batch(prototype=wanted.prototype, paused=again.batch.paused))
        return _carry_out(context, transaction, replace(reconciliation, batch=batch), now)

    reply = await context.change(call.request, change)
    if reply["plan"]["deleted"]:
        await remove_garbage(context.store)  # an empty folder, of a start that never ran
    return reply


def _carry_out(context: Context, transaction: Transaction, wanted: Reconciliation, now: float) -> Reply:
    plan = plan_of(transaction, wanted)
    batch, outcome = apply_plan(context, transaction, wanted, plan, now)
    if outcome.restarted or (outcome.created and not wanted.stage):
        transaction.save_run(replace(batch, started=now, stopped=None))
    transaction.settle(now)
    settled = transaction.find(batch.id) or batch
    return batch_reply(context, transaction, settled, transaction.trial_ids(batch.id), outcome)


def _dry_run(context: Context, transaction: Transaction, batch: Run, wanted: Reconciliation) -> Reply:
    plan = plan_of(transaction, wanted)
    made = wanted.generated.shown([position for position, each in enumerate(plan.decisions) if each.id is None])
    outcome = outcome_of(transaction, plan, wanted.batch.spec.setup, [])
    outcome.created = made
    return batch_reply(context, transaction, batch, transaction.trial_ids(batch.id), outcome)


def _present(reader: Reader, batch_id: str) -> _Present:
    run = reader.find(batch_id)
    if run is None or run.deleted is not None:
        raise NotFoundError(f"batch {batch_id[:8]} was deleted")
    return _Present(
        run=run,
        batch=reader.batch(batch_id),
        prototype_text=reader.prototype_text(batch_id),
        operation=operation_from_json(reader.operation(run.spec.setup.operation)),
        last_event=reader.last_event(),
    )


async def _wanted(preparation: Preparation, present: _Present, params: RestartParams, taken: Taken | None) -> _Wanted:
    before = present.batch.prototype
    setup, operation, space, rows = present.run.spec.setup, present.operation, before.space, before.rows
    if taken is not None:
        operation = taken.operation
        space = updated_space(present.operation, operation, space, setup.given)
    given = await read_given(preparation, params, params.cwd or present.operation.cwd)
    if given.rows is not None:
        rows = rows_to_json(given.rows)
    elif taken is not None and rows is not None:
        rows = await preparation.compute(len(rows), _updated, present.operation, operation, rows)
    assigned = await assign_given(
        preparation,
        operation,
        given,
        base=space,
        before=setup.given,
        force=params.force_flags,
        has_rows=rows is not None,
    )
    environment = json.dumps(read_environment(params.env or {})) if params.update_env else None
    prototype = _renewed(before, assigned.space, rows, params)
    setup = replace(
        setup,
        given=assigned.given,
        random_seed=setup.random_seed if params.random_seed is None else params.random_seed,
        slots=params.slots or setup.slots,
        priority=setup.priority if params.priority is None else params.priority,
        clean=params.clean,
    )
    setup = with_contents(setup, taken, environment, last_event=present.last_event)
    # Rows that are kept were checked when they came.
    force = params.force_flags or given.rows is None
    generated = await generate_trials(preparation, prototype, operation, setup, force=force)
    return _Wanted(
        setup=setup,
        prototype=prototype,
        environment=environment,
        generated=generated,
    )


def _updated(before: Operation, operation: Operation, rows: str) -> str:
    return rows_to_json(updated_rows(before, operation, rows_from_json(rows)))


def _renewed(before: Prototype, space: Space, rows: str | None, params: RestartParams) -> Prototype:
    """The prototype with what the restart says; what it does not say stays."""
    named = Optimizer(params.optimizer) if params.optimizer else before.optimizer if before.optimizer_named else None
    return Prototype(
        space=space,
        rows=rows,
        optimizer=optimizer_for(space, named, rows=rows is not None),
        optimizer_named=named is not None,
        max_trials=_bound(params.max_trials, before.max_trials),
        jobs=_bound(params.jobs, before.jobs),
        retries=before.retries if params.retries is None else params.retries,
        fail_fast=before.fail_fast if params.fail_fast is None else params.fail_fast,
    )


def _bound(given: int | str | None, before: int | None) -> int | None:
    """A bound as given; "all" lifts it, and None leaves it as it was."""
    if given is None:
        return before
    return given if isinstance(given, int) else None
