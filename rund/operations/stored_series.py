"""The values of a function that gives a list, kept as the function's text: a million values are a line then.

Only ``range`` and ``linspace``: they are exact, and computed faster than the values are read.  The logarithmic ones
take seconds for a million values, so theirs are kept as they are.
"""

from __future__ import annotations

from typing import Final

from rund.model.space import Choices
from rund.model.values import FlagValue, format_value
from rund.operations.fit import FUNCTION
from rund.operations.series import FunctionError, series, split_parts

_COMPUTED: Final = frozenset({"range", "linspace"})
_TYPES: Final = ("number", "float", "text")


def series_type(choices: Choices) -> str | None:
    """How ``choices`` follow from their text: ``number``, ``float`` or ``text``; None: they do not."""
    if choices.text is None or FUNCTION.fullmatch(choices.text) is None:
        return None
    for kind in _TYPES:
        try:
            values = series_values(choices.text, kind)
        except FunctionError:
            return None
        if values == choices.values and list(map(type, values)) == list(map(type, choices.values)):
            return kind
    return None


def series_values(text: str, kind: str) -> tuple[FlagValue, ...]:
    """The values that the function ``text`` gives, as numbers, floats or text.  Raises `FunctionError` for another."""
    function = FUNCTION.fullmatch(text)
    if function is None or function[1] not in _COMPUTED:
        raise FunctionError(f"{text} is no function that is kept as its text")
    values = series(function[1], split_parts(function[1], function[2]))
    match kind:
        case "number":
            return tuple(values)
        case "float":
            return tuple(float(value) for value in values)
        case _:
            return tuple(format_value(value) for value in values)
