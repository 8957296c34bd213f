"""Carries out the plan of a batch's restart, or of its making, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any

from rund.engine import lifecycle
from rund.engine.reconcile import Decision, FreedAction, Known, Plan, TrialAction, reconcile
from rund.errors import BusyError, InternalError, InvalidError
from rund.handlers.context import Context
from rund.handlers.generating import Generated
from rund.model.event import EventKind
from rund.model.operation import Operation
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status
from rund.model.values import Flags, trial_key
from rund.operations.stored import operation_from_json
from rund.operations.update import flags_before, flags_in
from rund.store.batches import TrialRow
from rund.store.bulk_changes import NewTrials
from rund.store.codec import flags_key, read_flags
from rund.store.transaction import Transaction

Operations = Callable[[str], Operation]  # from a digest
_NAMED = 3  # live runs that an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """How a batch is to be reconciled with its generated trials."""

    batch: Run  # with its setup and flags as they are from now on
    operation: Operation  # that of its setup; a dry run has not added it to the store
    generated: Generated
    needed: bool
    stage: bool


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was done with each run, by id; in a dry run ``created`` are flags."""

    created: list[Any] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    outdated: int = 0  # skipped though their source, environment or seed has changed


def plan_of(transaction: Transaction, wanted: Reconciliation) -> Plan:
    """What is to be done.  Raises `BusyError` if live runs forbid it."""
    batch = wanted.batch
    current = _known(transaction, transaction.trial_rows(batch.id), wanted)
    orphans = _known(transaction, transaction.orphan_rows(batch.id), wanted)
    plan = reconcile(current, orphans, wanted.generated.keys, needed=wanted.needed, stage=wanted.stage)
    if plan.busy:
        raise BusyError(_busy(batch, plan.busy))
    return plan


def outcome_of(transaction: Transaction, plan: Plan, setup: Setup, made: list[str]) -> Outcome:
    """The ids of ``plan`` by what is done; ``made`` are those of the trials that it makes, in order."""
    outcome = Outcome(created=made)
    for decision in plan.decisions:
        match decision.action:
            case TrialAction.CREATE:
                continue
            case TrialAction.QUEUE | TrialAction.QUEUE_AFTER_END:
                outcome.restarted.append(_id(decision))
            case TrialAction.SKIP:
                outcome.skipped.append(_id(decision))
            case TrialAction.KEEP:
                outcome.kept.append(_id(decision))
        if decision.taken_back:
            outcome.taken_back.append(_id(decision))
    for run_id, action in plan.freed:
        (outcome.deleted if action is FreedAction.DELETE else outcome.orphaned).append(run_id)
    outcome.outdated = transaction.outdated(outcome.skipped, setup)
    return outcome


def apply_plan(
    context: Context, transaction: Transaction, wanted: Reconciliation, plan: Plan, now: float
) -> tuple[Run, Outcome]:
    """Carry out ``plan`` and publish the list that follows from it; answers the batch as it is then."""
    batch = wanted.batch
    outcome = outcome_of(transaction, plan, batch.spec.setup, [])
    _free(transaction, batch, plan, now)
    listed: list[tuple[int, str]] = []
    queued: list[tuple[int, str]] = []
    kept: list[tuple[int, str]] = []
    dying: list[str] = []
    made: list[int] = []
    first = transaction.next_places(len(plan.decisions))  # trials wait in their order, whatever is done with each
    for position, decision in enumerate(plan.decisions):
        match decision.action:
            case TrialAction.CREATE:
                made.append(position)
            case TrialAction.QUEUE:
                queued.append((position, _id(decision)))
            case TrialAction.QUEUE_AFTER_END:
                listed.append((position, _id(decision)))
                dying.append(_id(decision))
                run = _run(transaction, _id(decision))
                spec = Spec(setup=batch.spec.setup, flags=wanted.generated.flags(position))
                transaction.save_run(lifecycle.queue_after_end(run, spec))
            case TrialAction.SKIP:
                listed.append((position, _id(decision)))
            case TrialAction.KEEP:
                kept.append((position, _id(decision)))
    outcome.created = _make(context, transaction, wanted, made, now, first=first)
    transaction.list_trials(batch.id, listed + kept)
    _renew(transaction, wanted, kept)
    _queue(transaction, wanted, queued, now, first=first)
    return _publish(transaction, wanted, outcome, dying, now), outcome


def _renew(transaction: Transaction, wanted: Reconciliation, kept: list[tuple[int, str]]) -> None:
    """Give kept trials that still are to start the batch's present setup, and its flags in terms of its operation."""
    operation = wanted.batch.spec.setup.operation
    for position, run_id in transaction.of_other_operation(kept, operation):
        run = _run(transaction, run_id)
        if run.status in (Status.STAGED, Status.PENDING):
            _set_flags(transaction, wanted, [(position, run_id)])
        elif run.next_spec is not None:
            flags = wanted.generated.flags(position)
            transaction.save_run(replace(run, next_spec=replace(run.next_spec, flags=flags)))
    transaction.renew_waiting(wanted.batch)
    transaction.retry_anew(wanted.batch.id)


def _queue(
    transaction: Transaction, wanted: Reconciliation, queued: list[tuple[int, str]], now: float, *, first: int
) -> None:
    """Queue runs again; those of another operation take the generated flags, which equal theirs in its terms."""
    _set_flags(transaction, wanted, transaction.of_other_operation(queued, wanted.batch.spec.setup.operation))
    transaction.queue_trials(wanted.batch, queued, now, first=first)


def _set_flags(transaction: Transaction, wanted: Reconciliation, places: list[tuple[int, str]]) -> None:
    texts, keys = wanted.generated.texts, wanted.generated.keys
    transaction.set_flags((texts[position], keys[position], run_id) for position, run_id in places)


def _publish(transaction: Transaction, wanted: Reconciliation, outcome: Outcome, dying: list[str], now: float) -> Run:
    """Publish the list; ``dying`` are those of the restarted that first have to end."""
    batch = wanted.batch
    published, _ = transaction.publish(batch, now)
    status = Status.STAGED if wanted.stage else Status.PENDING
    waiting = set(dying)
    for kind, ids, became, reason in (
        (EventKind.CREATED, outcome.created, status, None),
        (EventKind.QUEUED, [each for each in outcome.restarted if each not in waiting], Status.PENDING, None),
        (EventKind.QUEUED, dying, Status.RUNNING, lifecycle.STOPPING),
        (EventKind.PURGED, outcome.deleted, None, None),
    ):
        if ids:
            transaction.add_event(
                kind, now, ids, status=became, reason=reason, batch=batch.id, generation=published.generation
            )
    transaction.add_event(EventKind.TRIALS, now, [batch.id], batch=batch.id, generation=published.generation)
    return published


def _free(transaction: Transaction, batch: Run, plan: Plan, now: float) -> None:
    withdrawn = [run_id for run_id, action in plan.freed if action is FreedAction.WITHDRAW]
    transaction.free_trials(batch.id, [run_id for run_id, action in plan.freed if action is not FreedAction.DELETE])
    transaction.delete_runs(run_id for run_id, action in plan.freed if action is FreedAction.DELETE)
    transaction.withdraw_all(withdrawn, now)


def _make(
    context: Context, transaction: Transaction, wanted: Reconciliation, positions: list[int], now: float, *, first: int
) -> list[str]:
    """Make the trials at ``positions``; answers their ids."""
    if not positions:
        return []
    batch, generated = wanted.batch, wanted.generated
    made = NewTrials(
        ids=[context.new_id() for _ in positions],
        flags=[generated.texts[position] for position in positions],
        keys=[generated.keys[position] for position in positions],
        positions=positions,
    )
    spec = Spec(setup=batch.spec.setup, flags={})
    each = Run(
        id=made.ids[0],
        operation=batch.operation.removesuffix("+"),
        spec=spec,
        status=Status.STAGED,
        created=now,
        made_by=batch.id,
        batch=batch.id,
        position=0,
    )
    if wanted.stage:
        transaction.add_trials(each, made, place=None)
    else:
        transaction.add_trials(lifecycle.queue(each, spec, now=now, place=first), made, place=first)
    return list(made.ids)


def _known(transaction: Transaction, rows: list[TrialRow], wanted: Reconciliation) -> list[Known[bytes]]:
    known: list[Known[bytes]] = []
    operation = wanted.batch.spec.setup.operation
    others = transaction.flags_of([row.id for row in rows if row.setup.operation != operation])
    operation_of = cache(lambda digest: operation_from_json(transaction.operation(digest)))
    for row in rows:
        key = row.flags_key
        if row.requeued:
            key = _requeued_key(operation_of, _run(transaction, row.id), wanted)
        elif row.id in others:
            had = _readable(transaction, row.id, others[row.id])
            flags = None if had is None else _flags_in(operation_of, Spec(setup=row.setup, flags=had), wanted)
            key = _own_key(row.id) if flags is None else flags_key(flags)
        known.append(
            Known(
                id=row.id,
                key=key,
                status=row.status,
                started=row.attempts > 0,
                stopping=row.stopping,
                requeued=row.requeued,
            )
        )
    return known


def _readable(transaction: Transaction, run_id: str, text: str) -> Flags | None:
    """The flags of a run; None if they are damaged: that is noted, and nothing generated is like it."""
    try:
        return read_flags(text)
    except (ValueError, TypeError):
        _run(transaction, run_id)
        return None


def _requeued_key(operation_of: Operations, run: Run, wanted: Reconciliation) -> bytes:
    """The key of a run that is being stopped and then runs again: none that is generated, if with other flags then."""
    now = _flags_in(operation_of, run.spec, wanted)
    then = now if run.next_spec is None else _flags_in(operation_of, run.next_spec, wanted)
    if now is None or then is None or trial_key(now) != trial_key(then):
        return _own_key(run.id)
    return flags_key(now)


def _own_key(run_id: str) -> bytes:
    """The key of a run that nothing generated is like: its own alone."""
    return run_id.encode()


def _flags_in(operation_of: Operations, spec: Spec, wanted: Reconciliation) -> Flags | None:
    """The flags of ``spec`` in terms of the batch's operation; None: no trial of that can be like it."""
    present = wanted.batch.spec.setup
    if spec.setup.operation == present.operation:
        return spec.flags
    try:
        its = operation_of(spec.setup.operation)
    except (InternalError, InvalidError):
        return None  # it is lost or damaged
    if spec.setup.taken <= present.taken:
        return flags_in(wanted.operation, spec.flags, its)
    return flags_before(wanted.operation, spec.flags, its)


def _busy(batch: Run, live: tuple[str, ...]) -> str:
    short = batch.id[:8]
    named = ", ".join(run_id[:8] for run_id in islice(live, _NAMED)) + (", ..." if len(live) > _NAMED else "")
    return (
        f"batch {short} has {len(live)} running or pending trials ({named}): wait for it (runctl wait {short}),"
        f" stop it (runctl stop {short}), or give --needed to leave those as they are"
    )


def _run(transaction: Transaction, run_id: str) -> Run:
    run = transaction.find(run_id)
    if run is None:
        raise KeyError(run_id)
    return run


def _id(decision: Decision) -> str:
    if decision.id is None:
        raise ValueError(decision)
    return decision.id
