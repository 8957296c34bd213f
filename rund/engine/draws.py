"""The keyed draws: every random choice is a hash of what it is for.

This text is the whole rule; another program that follows it draws the same.  It never changes, for batches are
restarted by later releases.

**Encoding.**  A value is a tag of one byte, the length of its content as 4 bytes (unsigned, big-endian), and the
content: ``n`` null, no content; ``b`` a boolean, the byte 0 or 1; ``i`` an integer, in decimal ASCII digits with ``-``
before a negative one; ``f`` a float, IEEE 754 binary64, big-endian, every NaN as 7FF8000000000000; ``s`` a string in
UTF-8, a lone surrogate as its three bytes; ``l`` a list, the encodings of its items one after the other.

**Hash.**  ``H(v1, v2, ...)`` is BLAKE2b, unkeyed, with a digest of 16 bytes, of the encodings of v1, v2, ... one after
the other; the digest is read as an unsigned big-endian integer of 128 bits.  ``W`` is H without its lower 64 bits.

**What is hashed.**  ``seed`` and ``number`` are integers, ``name`` is a flag's name.  Trials are numbered from 0.  An
*item* is a value of a list followed by the number of equal values before it in that list: two values, not a list.  A
*cell* is the name and the item of every flag that is a list, by name (in order of code points); in a batch from a file
there stand before them the string ``row``, the name and value of every flag that the row sets to one value, by name,
and the number of equal rows before it.

- The range of a flag, in random search:  ``h = H("range", seed, name, number)``.
- The range of a flag, in a cell of a grid:  ``h = H("cell", seed, name, cell...)``.
- A list, in random search: the item with the highest rank; among equal ranks the first.  The rank is
  ``(W("list", seed, name, number) | 1) * W("item", seed, name, item...) mod 2^64``.
- The cells of a grid that are kept: those with the lowest rank; among equal ranks the first.  With the part of the cell
  before the last flag as ``outer``, and the last flag's name and item, the rank is
  ``(W("keep", seed, outer...) | 1) * W("item", seed, name, item...) mod 2^64``; where no flag is a list, the whole
  cell is ``outer`` and the second factor is 1.
- The cells of a grid too large for that: for number 0, 1, 2, ... each list is drawn as in random search; a cell drawn
  before is passed over.

**From h to a value.**

- An integer from low to high, both included:  ``low + floor(h * (high - low + 1) / 2^128)``.
- A float:  ``low + (high - low) * h / 2^128``, computed exactly and rounded once, to nearest, ties to even.
- A loguniform float: ``exp(ln low + (ln high - ln low) * h / 2^128)`` in decimal floating point of 40 digits: each of
  the two ln, the difference, the product, the quotient, the sum and the exp is rounded to nearest, ties to even; the
  bounds go in as the exact values of their floats.  The result is rounded to the nearest float, and brought between
  low and high if it lies outside.
- A loguniform integer: the same with high + 1 in place of high, then rounded down, and brought between low and high.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from rund.engine.exponential import log_drawer
from rund.model.space import LogUniform, Uniform
from rund.model.values import FlagValue

MASK: Final = 2**64 - 1
_BITS: Final = 128
_NAN: Final = bytes.fromhex("7ff8000000000000")
Drawer = Callable[[int], int | float]  # from h to a value


def encode(*values: FlagValue) -> bytes:
    """The encodings of ``values``, one after the other."""
    return b"".join(map(_encode, values))


def _encode(value: FlagValue) -> bytes:
    if value is None:
        return b"n\0\0\0\0"
    if isinstance(value, bool):
        return b"b\0\0\0\1\1" if value else b"b\0\0\0\1\0"
    if isinstance(value, int):
        return _tagged(b"i", b"%d" % value)
    if isinstance(value, float):
        return _tagged(b"f", _NAN if math.isnan(value) else struct.pack(">d", value))
    if isinstance(value, str):
        return _tagged(b"s", value.encode("utf-8", "surrogatepass"))
    return _tagged(b"l", encode(*value))


def _tagged(tag: bytes, content: bytes) -> bytes:
    return tag + len(content).to_bytes(4, "big") + content


def draw(message: bytes) -> int:
    """H of the values whose encodings are ``message``."""
    return int.from_bytes(blake2b(message, digest_size=16).digest(), "big")


def weight(message: bytes) -> int:
    """W of the values whose encodings are ``message``."""
    return draw(message) >> 64


def items(values: Sequence[FlagValue]) -> list[bytes]:
    """The encodings of a list's items: of each value and the number of equal ones before it."""
    seen: dict[bytes, int] = {}
    encoded: list[bytes] = []
    for value in values:
        key = _encode(value)
        before = seen.get(key, 0)
        seen[key] = before + 1
        encoded.append(key + _encode(before))
    return encoded


def item_weights(seed: int, name: str, encoded: Sequence[bytes]) -> list[int]:
    """The factor of each of a list's items in its ranks."""
    prefix = encode("item", seed, name)
    return [weight(prefix + item) for item in encoded]


def ranks(factor: int, weights: Sequence[int]) -> list[int]:
    """The rank of each item, from what is drawn for (W, made odd here) and the items' weights."""
    odd = factor | 1
    return [odd * each & MASK for each in weights]


def drawer(space: Uniform | LogUniform) -> Drawer:
    """What turns h into a value of ``space``."""
    low, high = space.low, space.high
    if isinstance(space, LogUniform):
        return _log_drawer(low, high)
    if isinstance(low, int) and isinstance(high, int):
        return _int_drawer(low, high)
    return _float_drawer(float(low), float(high))


def _int_drawer(low: int, high: int) -> Drawer:
    count = high - low + 1
    return lambda h: low + (h * count >> _BITS)


def _float_drawer(low: float, high: float) -> Drawer:
    (low_top, low_bottom), (high_top, high_bottom) = low.as_integer_ratio(), high.as_integer_ratio()
    bottom = max(low_bottom, high_bottom)  # both are powers of two
    start = low_top * (bottom // low_bottom)
    width = high_top * (bottom // high_bottom) - start
    start <<= _BITS
    bottom <<= _BITS
    # Python divides integers exactly and rounds once.
    return lambda h: (start + width * h) / bottom


def _log_drawer(low: float, high: float) -> Drawer:
    drawn = log_drawer(low, high, whole=isinstance(low, int) and isinstance(high, int))
    return lambda h: min(max(drawn(h), low), high)
