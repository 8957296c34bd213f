"""Gives a batch's flags their values, lists and functions; the rules are those of `rund.operations.assign`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rund.model.operation import Operation
from rund.model.space import Row, Space, space_of, space_values
from rund.operations.assign import assign_values, check_required, takes_any_flag
from rund.operations.flag_functions import fit_space
from rund.operations.given import Assignment, same_name
from rund.operations.together import ListReader, check_together
from rund.operations.update import undeclared


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAssigned:
    """The space of a batch, and the names of the flags that the user gave."""

    space: Space
    given: frozenset[str]
    is_batch: bool  # a list or a function is among the flags; else they make a single run


def assign_batch(
    operation: Operation,
    assignments: Sequence[Assignment],
    *,
    base: Space | None,
    given: frozenset[str],
    force: bool,
    has_rows: bool = False,
) -> BatchAssigned:
    """The space that ``operation`` is run with: that of ``base`` (None: its defaults) changed by ``assignments``.

    As `rund.operations.assign.assign_flags`, but a value may be a list or a function.  With ``has_rows`` the rows of a
    file may give the required flags.  Raises `InvalidError`, naming the flag.
    """
    before = None if base is None else space_values(base)
    reader = ListReader()
    flags, names = assign_values(operation, assignments, reader.read, base=before, given=given, force=force)
    check_together(flags)
    if not has_rows:
        for flag in operation.flags:
            check_required(operation, flag, flags[flag.name])
    space = space_of(flags)
    return BatchAssigned(space=space, given=names, is_batch=bool(space.varying))


def updated_space(before: Operation, operation: Operation, space: Space, given: frozenset[str]) -> Space:
    """The space of a batch of ``before`` as one of the new ``operation`` (``--update-source``).

    That is its defaults, and what the user gave.  Flags that it no longer has are dropped; those that ``before`` did
    not know either stay.  Raises `InvalidError`, naming the flag, for a given value that no longer fits.
    """
    kept = {name: value for name, value in space_values(space).items() if name in given}
    if takes_any_flag(operation):
        return space_of(kept)
    by_name = {same_name(name): value for name, value in kept.items()}
    updated: Row = {
        flag.name: fit_space(flag, by_name[same_name(flag.name)]) if same_name(flag.name) in by_name else flag.default
        for flag in operation.flags
    }
    return space_of(updated | undeclared(operation, undeclared(before, kept)))
