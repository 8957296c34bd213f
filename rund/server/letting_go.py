"""Frees the values of a large message a few at a time: a million at once would hold up the event loop for 40 ms."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

_A_STEP: Final = 4096  # values
_EMPTIED: Final = (list, dict)


def let_go(values: list[Any]) -> Iterator[None]:
    """Free what ``values`` has, some at each step; yields between the steps.

    What anybody else has is left to them as it is: a list or map is emptied only where nothing but its place here
    refers to it.
    """
    value: Any = []
    alone = sys.getrefcount(value)  # as the interpreter counts where one local name, this one, refers to a value
    done = 0
    while values:
        value = values.pop()
        if isinstance(value, _EMPTIED) and sys.getrefcount(value) == alone:
            if isinstance(value, list) and not values:
                values = value
            else:
                values.extend(value if isinstance(value, list) else value.values())
                value.clear()
        done += 1
        if done % _A_STEP == 0:
            value = None
            yield
