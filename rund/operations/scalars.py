"""Reads the numbers that a run prints: lines of the form ``accuracy: 0.97``.

Rules: a name begins with a letter or ``_`` and has letters, digits, ``_ . / -`` and spaces inside; the last value of a
name holds; the first 100 names count.
"""

from __future__ import annotations

import re
from typing import Final

from rund.model.values import read_float

MAX_NAMES: Final = 100

_NAME = re.compile(r"[^\W\d][\w./ -]{0,99}")


def read_scalars(text: str) -> dict[str, float]:
    """The scalars that an output tells, by name, in the order in which the names first come."""
    scalars: dict[str, float] = {}
    for line in text.splitlines():
        name, separator, number = line.partition(":")
        name = name.strip()
        if not separator or not _NAME.fullmatch(name):
            continue
        value = read_float(number.strip())
        if value is not None and (name in scalars or len(scalars) < MAX_NAMES):
            scalars[name] = value
    return scalars
