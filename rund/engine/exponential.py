"""The exponential function of loguniform draws: by decimal arithmetic, and the same faster by integers.

The decimal one is the rule of `rund.engine.draws`.  The integer one is exact to 2^-95 of its value; where that does not
settle how the value is rounded, it says so, and the rule is asked.  So both always give the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import cache
from typing import Final

_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]


def _context(digits: int) -> Context:
    return Context(
        prec=digits, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999, capitals=1, clamp=0, flags=[], traps=_TRAPS
    )


_FORTY: Final = _context(40)
_SIXTY: Final = _context(60)
_BITS: Final = 128
_ONE: Final = 2**_BITS
_UNSURE: Final = 95  # a value is known to 2^-95 of itself
_PARTS: Final = Decimal(_ONE)
_LARGEST: Final = 690  # the logarithm of a float that is far from overflow and from losing digits


def log_drawer(low: float, high: float, *, whole: bool) -> Callable[[int], int | float]:
    """What turns h into a number between the bounds, ``whole`` or a float, before it is brought between them."""
    start = _FORTY.ln(Decimal.from_float(low))
    end = _FORTY.ln(Decimal.from_float(high + 1 if whole else high))
    width = _FORTY.subtract(end, start)

    def by_rule(h: int) -> int | float:
        part = _FORTY.divide(_FORTY.multiply(width, Decimal(h)), _PARTS)
        drawn = _FORTY.exp(_FORTY.add(start, part))
        return int(drawn) if whole else float(drawn)

    if max(abs(start), abs(end)) > _LARGEST:
        return by_rule
    first, wide = _fixed(start), _fixed(width)
    settle = _floor if whole else _nearest

    def value(h: int) -> int | float:
        settled = settle(*_exp(first + (wide * h >> _BITS)))
        return by_rule(h) if settled is None else settled

    return value


def _fixed(value: Decimal) -> int:
    """A decimal as a number of 2^-128."""
    return int(_SIXTY.to_integral_value(_SIXTY.multiply(value, _PARTS)))


@cache
def _tables() -> tuple[int, list[int], list[int]]:
    """ln 2, and the exponentials of the multiples of 2^-8 and of 2^-16, as numbers of 2^-128."""
    coarse, fine = (
        [_fixed(_SIXTY.exp(_SIXTY.divide(Decimal(at), Decimal(2**bits)))) for at in range(256)] for bits in (8, 16)
    )
    return _fixed(_SIXTY.ln(Decimal(2))), coarse, fine


def _exp(exponent: int) -> tuple[int, int]:
    """``(m, k)``: the exponential of a number of 2^-128 is m * 2^(k - 128), to `_UNSURE` bits; m is 1 to 2, as such."""
    ln_two, coarse, fine = _tables()
    power, rest = divmod(exponent, ln_two)
    tiny = rest & (1 << 112) - 1
    series = _ONE + tiny // 7
    for term in (6, 5, 4, 3, 2, 1):  # 1 + t (1 + t/2 (1 + t/3 ...)), where t is less than 2^-16
        series = _ONE + (tiny * series >> _BITS) // term
    product = coarse[rest >> 120] * fine[rest >> 112 & 255] >> _BITS
    return product * series >> _BITS, power


def _nearest(mantissa: int, power: int) -> float | None:
    """The nearest float; None if the value is too near the middle of two to tell."""
    dropped = mantissa.bit_length() - 53
    from_middle = abs((mantissa & (1 << dropped) - 1) - (1 << dropped - 1))
    if from_middle >> _BITS - _UNSURE == 0:
        return None
    return math.ldexp(float(mantissa), power - _BITS)


def _floor(mantissa: int, power: int) -> int | None:
    """The value rounded down; None if it is too near a whole number to tell."""
    shift = _BITS - power
    if shift <= _BITS - _UNSURE:
        return None
    unsure = 1 << _BITS - _UNSURE
    low, high = mantissa - unsure >> shift, mantissa + unsure >> shift
    return low if low == high else None
