"""What a batch's trials are generated from: the values that hold in each, and those that vary.

A value's text may be kept beside it for showing; it has no part in equality.  Spaces hold typed values, for which
Python's ``==`` is too wide (``1 == 1.0``): compare the text of `rund.operations.stored_space.space_to_json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rund.model.values import Flags, FlagValue


class Optimizer(StrEnum):
    """How trials are generated."""

    GRID = "grid"  # every combination of the values of lists
    RANDOM = "random"  # values drawn for each trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """One of several values, in the order given; a value that stands there twice counts twice."""

    values: tuple[FlagValue, ...]
    text: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """A random number between two bounds: both ints (then an int, both ends included) or both floats."""

    low: int | float
    high: int | float
    text: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogUniform:
    """A random number, uniform in its logarithm, between two positive bounds: both ints or both floats."""

    low: int | float
    high: int | float
    text: str | None = field(default=None, compare=False)


FlagSpace = Choices | Uniform | LogUniform
Row = dict[str, FlagValue | FlagSpace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The flags of a batch: those that every trial has alike, and those that vary."""

    fixed: Flags
    varying: dict[str, FlagSpace]
    order: tuple[str, ...] = ()  # names as trials show them; those not named here come after


def space_values(space: Space) -> Row:
    """All flags of a space, in its order."""
    values: Row = {**space.fixed, **space.varying}
    ordered: Row = {name: values[name] for name in space.order if name in values}
    return ordered | values


def space_of(values: Row) -> Space:
    """The space of these flags, in their order."""
    fixed: Flags = {}
    varying: dict[str, FlagSpace] = {}
    for name, value in values.items():
        if isinstance(value, Choices | Uniform | LogUniform):
            varying[name] = value
        else:
            fixed[name] = value
    return Space(fixed=fixed, varying=varying, order=tuple(values))
