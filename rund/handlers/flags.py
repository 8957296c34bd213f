"""Reads the flags that a request gives: assignments, and the rows of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rund.api.params import RestartParams, RunParams
from rund.errors import InvalidError
from rund.handlers.preparing import Preparation
from rund.model.operation import Operation
from rund.model.space import Space
from rund.operations.assign import Assignment, read_args, read_typed
from rund.operations.batch_assign import BatchAssigned, assign_batch
from rund.operations.batch_files import read_batch_file, split_batch_file
from rund.operations.batch_rows import BatchRows, check_rows
from rund.operations.together import values_asked

_FEW: Final = 256  # arguments that are read at once: more hold up everybody meanwhile, so they are read in a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFlags:
    """What a request says of flags: assignments, and the rows of a file (None: it names none)."""

    assignments: list[Assignment]
    rows: BatchRows | None


async def read_given(preparation: Preparation, params: RunParams | RestartParams, cwd: str) -> GivenFlags:
    """Read ``args`` or ``flags``, and ``rows`` or the batch file among the args, which is relative to ``cwd``.

    Raises `InvalidError`, naming the flag, or the file and row.
    """
    args, flags, rows = params.args, params.flags, params.rows
    if args and flags:
        raise InvalidError("flags: give either args or flags, not both", field="flags")
    file, others = split_batch_file(args)
    if file is not None and rows is not None:
        raise InvalidError("rows: give either rows or a file, not both", field="rows")
    # Before any value is computed: a folder may hang, and much memory is not held meanwhile.
    read = None if file is None else await preparation.in_folder(cwd, read_batch_file, Path(cwd) / file)
    if flags:  # one of them may be a list of a million values
        values = sum(len(value) if isinstance(value, list) else 1 for value in flags.values())
        given = await preparation.compute(values, read_typed, flags)
    else:
        given = read_args(others) if len(others) <= _FEW else await preparation.compute(len(others), read_args, others)
    if rows is not None:
        return GivenFlags(assignments=given, rows=await preparation.compute(len(rows), check_rows, rows, "rows"))
    return GivenFlags(assignments=given, rows=read)


async def assign_given(
    preparation: Preparation,
    operation: Operation,
    given: GivenFlags,
    *,
    base: Space | None,
    before: frozenset[str],
    force: bool,
    has_rows: bool,
) -> BatchAssigned:
    """The space that ``operation`` is run with, as `assign_batch` says; ``before`` are the flags given before.

    In a thread: ``logspace[0:1:1000000]`` is computed for half a minute, and all other clients would wait.
    """
    assign = partial(assign_batch, base=base, given=before, force=force, has_rows=has_rows)
    return await preparation.compute(values_asked(given.assignments), assign, operation, given.assignments)
