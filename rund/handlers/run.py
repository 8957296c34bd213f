"""run: make a run of an operation, and queue it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from rund.api.params import RunParams
from rund.api.results import plan_map
from rund.engine import lifecycle
from rund.errors import InvalidError, UnsupportedError
from rund.handlers.context import Call, Context, Reply
from rund.model.event import EventKind
from rund.model.operation import Operation
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status
from rund.operations.assign import Assigned, Assignment, BatchValueError, assign_flags, read_args, read_typed
from rund.operations.commit import read_commit
from rund.operations.find import Found, find_operation
from rund.operations.inputs import find_inputs
from rund.operations.source import copy_source, scan_source
from rund.operations.stored import operation_to_json
from rund.store.transaction import Transaction

MAX_SEED = 2**32
FLAG_VARIABLE = "FLAG_"
RUN_VARIABLES = frozenset(
    {"RUND_RUN_ID", "RUND_RUN_DIR", "RUND_BATCH_ID", "RUND_PROJECT_DIR", "RUND_RANDOM_SEED", "RUND_SCRIPT"}
)


class SourceGoneError(Exception):
    """A source was removed, for nothing needed it any more, just before a run that needs it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An operation with its source, copied."""

    operation: Operation
    source: str | None
    commit: str | None


async def run(context: Context, call: Call[RunParams]) -> Reply:
    """Make a run and queue it (``stage``: only make it); with ``needed`` only if no equal one is completed."""
    while True:
        try:
            return await _run(context, call)
        except SourceGoneError:
            continue


async def _run(context: Context, call: Call[RunParams]) -> Reply:
    params = call.params
    check_slots(context, params.slots)
    environment = read_environment(params.env)
    find = partial(find_operation, params.operation, cwd=Path(params.cwd), env=environment)
    found = await anyio.to_thread.run_sync(find)
    assigned = _assign(found.operation, params)
    project = Path(found.operation.project_dir)
    inputs = await anyio.to_thread.run_sync(find_inputs, [*found.inputs, *params.inputs], Path(params.cwd), project)
    taken = await anyio.to_thread.run_sync(take_source, context, found)

    def change(transaction: Transaction) -> Reply:
        operation = transaction.add_operation(operation_to_json(taken.operation))
        if params.needed:
            done = transaction.completed_equal(taken.operation.name, taken.source, assigned.flags)
            if done is not None:
                return reply(context, done, skipped=[done.id])
        if params.dry_run:
            return reply(context, None, created=[assigned.flags])
        setup = Setup(
            operation=operation,
            source=taken.source,
            environment=transaction.add_environment(json.dumps(environment)),
            commit=taken.commit,
            given=assigned.given,
            random_seed=secrets.randbelow(MAX_SEED) if params.random_seed is None else params.random_seed,
            slots=params.slots or 1,
            priority=params.priority,
            inputs=inputs,
        )
        keep_source(context, transaction, setup)
        made = _made(context, transaction, call.params, taken.operation.name, Spec(setup=setup, flags=assigned.flags))
        return reply(context, made, created=[made.id])

    return await context.change(call.request, change)


def _made(context: Context, transaction: Transaction, params: RunParams, name: str, spec: Spec) -> Run:
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
    return made


def _assign(operation: Operation, params: RunParams) -> Assigned:
    given = assignments(params.args, params.flags)
    try:
        return assign_flags(operation, given, base=None, given=frozenset(), force=params.force_flags)
    except BatchValueError as error:
        raise UnsupportedError(f"{error.message}: that makes a batch, which this version does not run yet") from None


def assignments(args: list[str], flags: dict[str, Any]) -> list[Assignment]:
    """What was given as ``args`` or as ``flags``; raises `InvalidError` if it was both."""
    if args and flags:
        raise InvalidError("flags: give either args or flags, not both", field="flags")
    return read_args(args) if args else read_typed(flags)


def read_environment(env: dict[str, Any]) -> dict[str, str]:
    """The environment that a client sent; what is not UTF-8 came as bytes, and stays exact.

    Raises `InvalidError`, naming the variable.
    """
    environment: dict[str, str] = {}
    for name, value in env.items():
        text = os.fsdecode(value) if isinstance(value, bytes) else value
        if not isinstance(text, str):
            raise InvalidError(f"env: {name} is no text", field="env")
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise InvalidError(f"env: {name!r} cannot be a variable", field="env")
        environment[name] = text
    return _outside_of_a_run(environment)


def _outside_of_a_run(environment: dict[str, str]) -> dict[str, str]:
    """The environment without what is a run's own, for a run may start runs."""
    if "RUND_RUN_ID" not in environment:
        return environment
    return {
        name: value
        for name, value in environment.items()
        if name not in RUN_VARIABLES and not name.startswith(FLAG_VARIABLE)
    }


def take_source(context: Context, found: Found) -> Taken:
    """Copy the source of an operation, once per content."""
    if found.root is None:
        return Taken(operation=found.operation, source=None, commit=None)
    manifest = scan_source(found.root, found.script, marked=found.marked)
    digest = copy_source(manifest, context.store.directories.home / "sources")
    return Taken(operation=found.operation, source=digest, commit=read_commit(found.root))


def keep_source(context: Context, transaction: Transaction, setup: Setup) -> None:
    """Keep the source of ``setup``; raises `SourceGoneError` if it has been removed since it was taken."""
    if setup.source is not None:
        transaction.keep(f"sources/{setup.source}")
        if not context.store.directories.source(setup.source).is_dir():
            raise SourceGoneError


def check_slots(context: Context, slots: int | None) -> None:
    """Raise `InvalidError` if a run asks for more slots than there are."""
    if slots is not None and slots > context.slots:
        raise InvalidError(f"slots: {slots} are more than there are: the daemon has {context.slots}", field="slots")


def reply(context: Context, run: Run | None, **plan: list[Any]) -> Reply:
    """What ``run`` and ``restart`` answer for a single run."""
    return {
        "run": None if run is None else context.run_map(run),
        "generation": None,
        "trials": None,
        "plan": plan_map(**plan),
    }
