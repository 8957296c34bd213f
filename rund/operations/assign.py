"""Gives an operation's flags their values: its defaults, changed by what a user gave."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rund.errors import InvalidError
from rund.model.operation import FlagDef, Operation, OperationKind, Passing
from rund.model.values import Flags, FlagValue
from rund.operations.fit import BatchValueError, fit_value, read_text
from rund.operations.given import Assignment, read_args, read_typed, same_name

Other = TypeVar("Other")  # what a flag can be besides a value

__all__ = ["Assigned", "Assignment", "BatchValueError", "assign_flags", "read_args", "read_typed", "unknown_flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The flags of a run, and the names of those that the user gave."""

    flags: Flags
    given: frozenset[str]


def takes_any_flag(operation: Operation) -> bool:
    """Whether the operation takes flags that it does not declare: an executable that declares none."""
    return operation.kind is OperationKind.EXECUTABLE and not operation.flags


def unknown_flag(operation: Operation, name: str) -> FlagDef:
    """What a flag is that ``operation`` does not know and that is passed all the same.

    A script whose flags are its literals gets it in the environment alone: it reads no options.
    """
    literal = any(flag.passing is Passing.LITERAL for flag in operation.flags)
    if literal:
        return FlagDef(name=name, passing=Passing.ENVIRONMENT)
    return FlagDef(name=name, passing=Passing.OPTION, option=f"--{name}")


def assign_flags(
    operation: Operation,
    assignments: Sequence[Assignment],
    *,
    base: Flags | None,
    given: frozenset[str],
    force: bool,
) -> Assigned:
    """The flags that ``operation`` is run with: those of ``base`` (None: its defaults) changed by ``assignments``.

    ``given`` are the names that the user gave before.  The flags come in the operation's order, unknown ones, which
    ``force`` lets pass, after them.  Raises `InvalidError`, naming the flag: unknown, of the wrong type, not one of
    its choices, or required and without a value; `BatchValueError` for a value that only a batch takes.
    """
    flags, names = assign_values(operation, assignments, _value, base=base, given=given, force=force)
    for flag in operation.flags:
        check_required(operation, flag, flags[flag.name])
    return Assigned(flags=flags, given=names)


def assign_values(
    operation: Operation,
    assignments: Sequence[Assignment],
    read: Callable[[FlagDef, Assignment], FlagValue | Other],
    *,
    base: Mapping[str, FlagValue | Other] | None,
    given: frozenset[str],
    force: bool,
) -> tuple[dict[str, FlagValue | Other], frozenset[str]]:
    """What `assign_flags` says, but for required flags; ``read`` reads a value, which may be more than one run takes.

    Raises `InvalidError`, naming the flag.
    """
    known = {same_name(flag.name): flag for flag in operation.flags}
    before = {} if base is None else base
    flags: dict[str, FlagValue | Other] = {flag.name: before.get(flag.name, flag.default) for flag in operation.flags}
    flags |= before
    names = set(given)
    for assignment in assignments:
        flag = known.get(same_name(assignment.name)) or passed_flag(operation, assignment.name, flags, force=force)
        if assignment.text == "":
            names.discard(flag.name)
            if same_name(flag.name) in known:
                flags[flag.name] = flag.default
            else:
                flags.pop(flag.name, None)
        else:
            names.add(flag.name)
            flags[flag.name] = read(flag, assignment)
    return flags, frozenset(names)


def passed_flag(operation: Operation, name: str, flags: Collection[str], *, force: bool) -> FlagDef:
    """What a flag is that ``operation`` does not declare and lets pass: one of ``flags``, which passed before, or new.

    Raises `InvalidError`, naming the flag and the nearest known one, if it does not pass.
    """
    for earlier in flags:
        if same_name(earlier) == same_name(name):
            return unknown_flag(operation, earlier)
    if force or takes_any_flag(operation):
        return unknown_flag(operation, name)
    raise _unknown(operation, name)


def check_required(operation: Operation, flag: FlagDef, value: object) -> None:
    """Raise `InvalidError` if ``flag`` must have a value and has none."""
    if flag.required and value is None:
        raise InvalidError(
            f"{flag.name}: {operation.name} needs a value for it: give {flag.name}=VALUE", field=flag.name
        )


def _value(flag: FlagDef, assignment: Assignment) -> FlagValue:
    if assignment.text is None:
        return fit_value(flag, assignment.value)
    return read_text(flag, assignment.text)


def _unknown(operation: Operation, name: str) -> InvalidError:
    names = [flag.name for flag in operation.flags]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif names:
        hint = "it has " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    else:
        hint = "it has none"
    return InvalidError(f"{name}: {operation.name} has no such flag: {hint} (--force-flags lets it pass)", field=name)
