"""Takes what a run is made from: its operation, its source, its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rund.errors import InvalidError
from rund.handlers.context import Context
from rund.handlers.preparing import Preparation
from rund.model.operation import Operation
from rund.model.run import Setup
from rund.operations.commit import read_commit
from rund.operations.find import Found, find_operation
from rund.operations.source import digest_source, scan_source
from rund.operations.stored import operation_to_json
from rund.store.codec import digest
from rund.store.transaction import Transaction

_FLAG_VARIABLE = "FLAG_"
_RUN_VARIABLES = frozenset(
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


async def find(preparation: Preparation, text: str, cwd: Path, environment: Mapping[str, str]) -> Found:
    """The operation that ``text`` names for a client in ``cwd``."""
    return await preparation.in_folder(str(cwd), partial(find_operation, text, cwd=cwd, env=environment))


async def take_source(preparation: Preparation, context: Context, found: Found, *, copy: bool = True) -> Taken:
    """Copy the source of an operation, once per content; without ``copy`` only tell what it would be."""
    return await preparation.in_folder(found.operation.cwd, partial(_take_source, context, found, copy=copy))


def _take_source(context: Context, found: Found, *, copy: bool) -> Taken:
    if found.root is None:
        return Taken(operation=found.operation, source=None, commit=None)
    manifest = scan_source(found.root, found.script, marked=found.marked)
    digest = context.sources.copy(manifest) if copy else digest_source(manifest)
    return Taken(operation=found.operation, source=digest, commit=read_commit(found.root))


def keep_source(context: Context, transaction: Transaction, setup: Setup) -> None:
    """Keep the source of ``setup``; raises `SourceGoneError` if it has been removed since it was taken."""
    if setup.source is not None:
        transaction.keep(f"sources/{setup.source}")
        if not context.sources.is_whole(setup.source):
            raise SourceGoneError


def with_contents(setup: Setup, taken: Taken | None, environment: str | None, *, last_event: int) -> Setup:
    """``setup`` with the operation, source and environment (as text) that are taken anew; None: they stay.

    ``last_event`` is the number of the last event that there is.
    """
    if taken is not None:
        operation = digest(operation_to_json(taken.operation))
        setup = replace(setup, operation=operation, source=taken.source, commit=taken.commit, taken=last_event)
    return setup if environment is None else replace(setup, environment=digest(environment))


def add_contents(
    context: Context, transaction: Transaction, setup: Setup, taken: Taken | None, environment: str | None
) -> None:
    """Keep what `with_contents` put into ``setup``.  Raises `SourceGoneError`."""
    if taken is not None:
        transaction.add_operation(operation_to_json(taken.operation))
        keep_source(context, transaction, setup)
    if environment is not None:
        transaction.add_environment(environment)


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
        if name not in _RUN_VARIABLES and not name.startswith(_FLAG_VARIABLE)
    }


def check_slots(context: Context, slots: int | None) -> None:
    """Raise `InvalidError` if a run asks for more slots than there are."""
    if slots is not None and slots > context.slots:
        raise InvalidError(f"slots: {slots} are more than there are: the daemon has {context.slots}", field="slots")
