"""What a user gave to flags: ``NAME=VALUE`` arguments, or typed values.

Rules: ``NAME=`` alone gives the flag its default back; a name is given once; ``-`` and ``_`` are one in names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rund.errors import InvalidError
from rund.model.values import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER, FlagValue
from rund.operations.fit import BatchValueError

_MAX_NAME = 200
_HALF = re.compile("[\ud800-\udfff]")  # a surrogate that is not one of a pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One flag's value as given: text to be read by the flag's type, or else a typed value."""

    name: str
    text: str | None = None  # "": the default
    value: FlagValue = None  # where there is no text


def same_name(name: str) -> str:
    """What two spellings of one flag's name have in common."""
    return name.replace("-", "_")


def read_args(args: Sequence[str]) -> list[Assignment]:
    """The assignments that ``["x=3", "y="]`` stand for.

    Raises `InvalidError` for an argument of another form, and `BatchValueError` for a batch file (``@FILE``).
    """
    return _each_once(_read_arg(arg) for arg in args)


def _read_arg(arg: str) -> Assignment:
    if arg.startswith("@"):
        raise BatchValueError(f"{arg} is a file of trials", field="args")
    name, separator, text = arg.partition("=")
    if not separator:
        raise InvalidError(f"{arg!r} is not a flag: write NAME=VALUE", field="args")
    if name.startswith("-") and is_flag_name(name.lstrip("-")):
        raise InvalidError(f"{arg!r} is not a flag: write {arg.lstrip('-')!r}, without dashes", field="args")
    check_name(name)
    return Assignment(name=name, text=text)


def read_typed(flags: Mapping[str, Any]) -> list[Assignment]:
    """The assignments of typed values.

    Raises `InvalidError`, naming the flag, for values that no flag can have.
    """
    for name, value in flags.items():
        check_name(name)
        check_value(name, value)
    return _each_once(Assignment(name=name, value=value) for name, value in flags.items())


def _each_once(assignments: Iterable[Assignment]) -> list[Assignment]:
    by_name: dict[str, Assignment] = {}
    for assignment in assignments:
        earlier = by_name.setdefault(same_name(assignment.name), assignment)
        if earlier is not assignment:
            raise InvalidError(f"{assignment.name}: the flag is given twice: give it once", field=assignment.name)
    return list(by_name.values())


def is_flag_name(name: str) -> bool:
    """Whether a flag can have this name."""
    # As Python names, which literals have, with what options have besides; a digit may stand first (``--3d``).
    return (
        len(name) <= _MAX_NAME
        and ("_" + name.replace("-", "_").replace(".", "_")).isidentifier()
        and name[:1] not in "-."
    )


def check_name(name: object) -> str:
    """The name, if a flag can have it.  Raises `InvalidError`."""
    if not isinstance(name, str) or not is_flag_name(name):
        shown = repr(name) if len(repr(name)) <= _MAX_NAME else repr(name)[:_MAX_NAME] + "..."
        raise InvalidError(f"{shown} is not a flag's name: use letters, digits, '_', '-' and '.'", field="flags")
    return name


def check_value(name: str, value: object, depth: int = 0) -> None:
    """Raise `InvalidError`, naming the flag, for a value that no flag can have."""
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            raise InvalidError(f"{name}: lists are nested more than {MAX_DEPTH} deep", field=name)
        for item in value:
            check_value(name, item, depth + 1)
    elif isinstance(value, str):
        if "\0" in value:
            raise InvalidError(f"{name}: a value cannot hold a null character", field=name)
        if (half := _HALF.search(value)) is not None:
            # JSON can spell it, and no message can carry it: one such value would spoil every list that it is in.
            raise InvalidError(f"{name}: {half[0]!r} is half of a character: give the other half too", field=name)
    elif isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise InvalidError(f"{name}: the integer does not fit in 64 bits: give a float or a string", field=name)
    elif value is not None and not isinstance(value, float):
        raise InvalidError(
            f"{name}: a flag's value is null, true or false, a number, a string or a list, not {type(value).__name__}",
            field=name,
        )
