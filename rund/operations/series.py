"""The values of ``range``, ``linspace``, ``logspace`` and ``geomspace``, and the bounds of random functions.

Rules: ``range`` and ``linspace`` are computed exactly from the text and rounded once.  The logarithmic ones are
computed in decimal floating point of 40 digits, rounded to nearest, ties to even: a value of ``logspace`` is
``exp((low + (high - low) * i / (n - 1)) * ln 10)``, but the power itself where the exponent is whole; one of
``geomspace`` is ``exp(ln low + (ln high - ln low) * i / (n - 1))``, but the bound itself at either end; then it is
rounded to the nearest float.  Where the bounds are spelled as integers and every value is whole, to 30 digits, the
values are integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction
from typing import Final

from rund.model.values import MAX_INTEGER, MIN_INTEGER, FlagValue, ValueSyntaxError, read_float, read_scalar

MAX_VALUES: Final = 1_000_000  # of one list
MAX_TOGETHER: Final = 2_000_000  # of all lists of a batch, which are held at the same time
TOO_MANY: Final = (
    f"the lists of all flags have more than {MAX_TOGETHER:,} values together: give shorter lists,"
    " or a random value such as NAME=[1:1000000]"
)
_MAX_DIGITS: Final = 400  # of a bound: none is larger or finer than a float
_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]
_FORTY: Final = Context(
    prec=40, rounding=ROUND_HALF_EVEN, Emin=-99999, Emax=99999, capitals=1, clamp=0, flags=[], traps=_TRAPS
)
_THIRTY: Final = Context(
    prec=30, rounding=ROUND_HALF_EVEN, Emin=-99999, Emax=99999, capitals=1, clamp=0, flags=[], traps=_TRAPS
)
_SHAPES: Final = {
    "range": ((2, 3), "range[START:STOP] or range[START:STOP:STEP]"),
    "linspace": ((3,), "linspace[LOW:HIGH:COUNT]"),
    "logspace": ((3,), "logspace[LOW:HIGH:COUNT]"),
    "geomspace": ((3,), "geomspace[LOW:HIGH:COUNT]"),
    "uniform": ((2,), "uniform[LOW:HIGH] or [LOW:HIGH]"),
    "loguniform": ((2,), "loguniform[LOW:HIGH]"),
}


class FunctionError(ValueError):
    """What is wrong with a function, without the flag's name."""


def split_parts(name: str, inside: str) -> list[str]:
    """The numbers between the brackets of function ``name``.  Raises `FunctionError` for another number of them."""
    numbers, shape = _SHAPES[name]
    parts = [part.strip() for part in inside.split(":")]
    if len(parts) not in numbers:
        raise FunctionError(f"it has {len(parts)} part{'s' * (len(parts) != 1)}: write {shape}")
    return parts


def length(name: str, parts: Sequence[str]) -> int:
    """How many values a function that gives a list gives, without making them.  Raises `FunctionError`."""
    if name != "range":
        return _count(parts[2])
    start, stop, step = _steps(parts)
    return (stop - start) // step + 1


def series(name: str, parts: Sequence[str], most: int = MAX_VALUES) -> list[int] | list[float]:
    """The values of a function that gives a list.  Raises `FunctionError`, also for more than ``most``, at once."""
    whole = all(isinstance(_number(part), int) for part in parts)
    if name == "range":
        return _range(parts, most, whole=whole)
    low, high = _exact(parts[0]), _exact(parts[1])
    _check_order(low, high, parts)
    count = _count(parts[2])
    _check_count(count, most)
    if name == "linspace":
        return _spaced(low, (high - low) / (count - 1), count, whole=whole)
    if name == "geomspace" and low <= 0:
        raise FunctionError(f"the lower bound {parts[0]} must be greater than 0")
    values = _powers(low, high, count) if name == "logspace" else _geometric(parts, count)
    return _rounded(values, whole=whole)


def bounds(name: str, parts: Sequence[str], *, floats: bool) -> tuple[int | float, int | float]:
    """The bounds of a random function: ints if both are spelled so and not ``floats``.  Raises `FunctionError`."""
    low, high = _number(parts[0]), _number(parts[1])
    if floats or not (isinstance(low, int) and isinstance(high, int)):
        low, high = _float(parts[0]), _float(parts[1])
    _check_order(low, high, parts)
    if name == "loguniform" and low <= 0:
        raise FunctionError(f"the lower bound {parts[0]} must be greater than 0")
    return low, high


def is_number(text: str) -> bool:
    """Whether the text spells a number, inf and nan too."""
    return read_float(text) is not None


def _number(text: str) -> int | float:
    if not text:
        raise FunctionError("a number is missing")
    try:
        value: FlagValue = read_scalar(text, text)
    except ValueSyntaxError as error:
        if read_float(text) is None:
            raise FunctionError(str(error)) from None
        value = read_float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FunctionError(f"{text!r} is not a number")
    if value != value or value in (float("inf"), float("-inf")):
        raise FunctionError(f"the number {text} is not finite")
    return value


def _float(text: str) -> float:
    _number(text)
    value = read_float(text)
    assert value is not None  # noqa: S101 - it is a number
    return value


def _exact(text: str) -> Fraction:
    _number(text)
    try:
        value = Decimal(text, _FORTY)
    except InvalidOperation:
        value = None
    if value is None or len(text) > _MAX_DIGITS or (value and abs(value.adjusted()) > _MAX_DIGITS):
        raise FunctionError(f"the number {text[:20]}... has too many digits")
    return Fraction(value)


def _check_order(low: Fraction | float, high: Fraction | float, parts: Sequence[str]) -> None:
    if not low < high:
        raise FunctionError(f"the lower bound {parts[0]} must be less than the upper bound {parts[1]}")


def _count(text: str) -> int:
    count = _number(text)
    if not isinstance(count, int) or count < 2:
        raise FunctionError(f"the number of values must be an integer of at least 2, not {text}")
    return count


def _check_count(count: int, most: int) -> None:
    """Raise `FunctionError` for a list of more than `MAX_VALUES`, or more than the ``most`` that others leave."""
    if count > MAX_VALUES:
        shown = f"{count:,}" if count < 10**18 else "far more"
        raise FunctionError(f"it gives {shown} values, and a list has at most {MAX_VALUES:,}")
    if count > most:
        raise FunctionError(TOO_MANY)


def _steps(parts: Sequence[str]) -> tuple[Fraction, Fraction, Fraction]:
    start, stop = _exact(parts[0]), _exact(parts[1])
    step = _exact(parts[2]) if len(parts) == 3 else Fraction(1)
    if step == 0:
        raise FunctionError("the step must not be 0")
    if step > 0 and start > stop:
        raise FunctionError(f"the start {parts[0]} must not be greater than the stop {parts[1]}, or the step negative")
    if step < 0 and start < stop:
        raise FunctionError(f"the step {parts[2]} is negative, and the start {parts[0]} less than the stop {parts[1]}")
    return start, stop, step


def _range(parts: Sequence[str], most: int, *, whole: bool) -> list[int] | list[float]:
    start, stop, step = _steps(parts)
    count = (stop - start) // step + 1
    _check_count(count, most)
    return _spaced(start, step, count, whole=whole)


def _spaced(start: Fraction, step: Fraction, count: int, *, whole: bool) -> list[int] | list[float]:
    bottom = math.lcm(start.denominator, step.denominator)
    first = start.numerator * (bottom // start.denominator)
    each = step.numerator * (bottom // step.denominator)
    if whole and bottom == 1:
        return [first + at * each for at in range(count)]
    # Python divides integers exactly and rounds once.
    return [(first + at * each) / bottom for at in range(count)]


def _powers(low: Fraction, high: Fraction, count: int) -> list[Decimal]:
    ln_ten = _FORTY.ln(Decimal(10))
    return [_power(low + (high - low) * at / (count - 1), ln_ten) for at in range(count)]


def _power(exponent: Fraction, ln_ten: Decimal) -> Decimal:
    if abs(exponent) > _MAX_DIGITS:
        raise FunctionError("a power of ten is too large or too small for a float")
    if exponent.denominator == 1:
        return Decimal((0, (1,), exponent.numerator))
    written = _FORTY.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
    return _FORTY.exp(_FORTY.multiply(written, ln_ten))


def _geometric(parts: Sequence[str], count: int) -> list[Decimal]:
    low, high = Decimal(parts[0], _FORTY), Decimal(parts[1], _FORTY)
    start = _FORTY.ln(low)
    width = _FORTY.subtract(_FORTY.ln(high), start)
    middle = [
        _FORTY.exp(_FORTY.add(start, _FORTY.divide(_FORTY.multiply(width, Decimal(at)), Decimal(count - 1))))
        for at in range(1, count - 1)
    ]
    return [low, *middle, high]


def _rounded(values: list[Decimal], *, whole: bool) -> list[int] | list[float]:
    if whole:
        near = [_THIRTY.plus(value) for value in values]
        integers = [int(value) for value in near if value == value.to_integral_value()]
        if len(integers) == len(values) and all(MIN_INTEGER <= value <= MAX_INTEGER for value in integers):
            return integers
    floats = [float(value) for value in values]
    if float("inf") in floats:
        raise FunctionError("a value is too large for a float")
    return floats
