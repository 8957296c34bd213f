"""Bounds the lists that are read for one batch: each is made at once, and all of them are held.

A request of a few hundred bytes can ask for a thousand lists of a million values each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rund.errors import InvalidError
from rund.model.operation import FlagDef
from rund.model.space import Choices, FlagSpace
from rund.model.values import FlagValue
from rund.operations.fit import FUNCTION
from rund.operations.flag_functions import RANDOM, read_list, read_space
from rund.operations.given import Assignment
from rund.operations.series import MAX_TOGETHER, MAX_VALUES, TOO_MANY, FunctionError, length, split_parts


class ListReader:
    """Reads what was given to flags, until the lists have `MAX_TOGETHER` values together."""

    def __init__(self) -> None:
        self._left = MAX_TOGETHER

    def read(self, flag: FlagDef, assignment: Assignment) -> FlagValue | FlagSpace:
        """The value, list or function that was given.  Raises `InvalidError`, naming the flag."""
        if assignment.text is None:
            value = read_list(flag, assignment.value, self._left)
        else:
            value = read_space(flag, assignment.text, self._left)
        if isinstance(value, Choices):
            self._left -= len(value.values)
        return value


def values_asked(assignments: Iterable[Assignment]) -> int:
    """About how many values these give, without making them."""
    return sum(map(_values_asked, assignments))


def _values_asked(assignment: Assignment) -> int:
    if assignment.text is None:
        return len(assignment.value) if isinstance(assignment.value, list) else 1
    function = FUNCTION.fullmatch(assignment.text)
    if function is None or function[1] in RANDOM:
        return assignment.text.count(",") + 1
    try:
        return min(length(function[1], split_parts(function[1], function[2])), MAX_VALUES)
    except FunctionError:
        return 1  # it is refused at once


def check_together(flags: Mapping[str, FlagValue | FlagSpace]) -> None:
    """Raise `InvalidError` for flags whose lists have more than `MAX_TOGETHER` values, naming the longest."""
    lengths = {name: len(value.values) for name, value in flags.items() if isinstance(value, Choices)}
    if sum(lengths.values()) > MAX_TOGETHER:
        longest = max(lengths, key=lengths.__getitem__)
        raise InvalidError(f"{longest}: {TOO_MANY}", field=longest)
