"""Finds where a message ends, without building anything of it.

A frame is read once, from its first byte to its last, in as many pieces as it comes in.  Every length is judged when
it is read, before the bytes that it claims: so nothing is held for a message that will be refused, and what reaches
the decoder is complete, well formed and within its limits.
Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from rund.protocol.limits import Limits
from rund.protocol.messages import ProtocolError

_NUMBER_BYTES = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_STRING_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xDA: 2, 0xDB: 4}  # binaries, then strings
_ARRAY_LENGTH_BYTES = {0xDC: 2, 0xDD: 4}
_MAP_LENGTH_BYTES = {0xDE: 2, 0xDF: 4}
_EXTENSIONS = frozenset((*range(0xC7, 0xCA), *range(0xD4, 0xD9)))
_KEYS = bytes(0xA0 <= head < 0xC0 or head in {0xD9, 0xDA, 0xDB} for head in range(256))  # strings only
_VALUE_BYTES = 64  # what a value of Python takes beside its own bytes, at the least
_SHORT_STRING = 0xD9  # the commonest header but the short ones; its 255 bytes are within any sensible limit


def _whole_sizes() -> bytes:
    """By first byte, the size of a value whose first byte tells it; 0 where it does not."""
    sizes = bytearray(256)
    for head in (*range(0x80), 0xC0, 0xC2, 0xC3, *range(0xE0, 0x100)):  # nil, booleans and small integers
        sizes[head] = 1
    for head in range(0xA0, 0xC0):
        sizes[head] = 1 + (head & 0x1F)
    for head, size in _NUMBER_BYTES.items():
        sizes[head] = 1 + size
    return bytes(sizes)


_WHOLE_SIZES = _whole_sizes()


class Frame:
    """One message that begins where the buffer begins; between two calls of `end` the buffer may only grow."""

    __slots__ = ("_in_map", "_left", "_limits", "_outer", "_position", "_values")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._position = 0  # of the next value; it may lie behind the bytes that are there
        self._left = 1  # values still to come in the innermost container; a map's keys and values count one each
        self._in_map = False
        self._outer: list[tuple[int, bool]] = []  # the same of the containers around it
        self._values = 1

    @property
    def holds(self) -> int:
        """About how many bytes of memory the message takes when it is decoded, as far as it has been read."""
        return self._position + _VALUE_BYTES * self._values

    def skips(self, length: int) -> int:
        """How many of the bytes that come after the first ``length`` are not looked at, for a string has them."""
        return max(0, self._position - length)

    def end(self, buffer: bytearray) -> int | None:
        """Where the message ends, or None while it is unfinished.  Raises `ProtocolError` as soon as it cannot be."""
        position, left, in_map, outer = self._position, self._left, self._in_map, self._outer
        sizes, keys = _WHOLE_SIZES, _KEYS
        try:
            while True:
                while left:
                    head = buffer[position]
                    if in_map and not left & 1 and not keys[head]:
                        raise ProtocolError("a key of a map is not a string")
                    size = sizes[head]
                    if size:
                        position += size
                        left -= 1
                    elif head == _SHORT_STRING:
                        position += 2 + buffer[position + 1]
                        left -= 1
                    elif head in _STRING_LENGTH_BYTES:
                        position = self._string_end(buffer, position, head)
                        left -= 1
                    else:
                        position, count, is_map = self._elements(buffer, position, head)
                        self._nest(left - 1, in_map=in_map)
                        left, in_map = count, is_map
                if not outer:
                    break
                left, in_map = outer.pop()
        except IndexError:  # the next value, or its length, is not there yet
            pass
        self._position, self._left, self._in_map = position, left, in_map
        if position + left > self._limits.message_bytes:
            raise ProtocolError(f"a message is longer than {self._limits.message_bytes} bytes")
        return position if not left and position <= len(buffer) else None

    def _nest(self, left: int, *, in_map: bool) -> None:
        self._outer.append((left, in_map))
        if len(self._outer) > self._limits.depth:
            raise ProtocolError(f"arrays and maps are nested more than {self._limits.depth} deep")

    def _string_end(self, buffer: bytearray, position: int, head: int) -> int:
        """Where a string or binary ends.  Raises IndexError if its length is not there yet."""
        start, length = _length(buffer, position, _STRING_LENGTH_BYTES[head])
        if length > self._limits.string_bytes:
            raise ProtocolError(f"a string has {length} bytes, and may have {self._limits.string_bytes}")
        return start + length

    def _elements(self, buffer: bytearray, position: int, head: int) -> tuple[int, int, bool]:
        """Where the first element of an array or map begins, how many there are, and whether it is a map.

        Raises IndexError if its length is not there yet.
        """
        if 0x80 <= head < 0x90 or head in _MAP_LENGTH_BYTES:
            start, length = _length(buffer, position, _MAP_LENGTH_BYTES.get(head, 0))
            most, count, is_map = self._limits.map_length, 2 * length, True
        elif 0x90 <= head < 0xA0 or head in _ARRAY_LENGTH_BYTES:
            start, length = _length(buffer, position, _ARRAY_LENGTH_BYTES.get(head, 0))
            most, count, is_map = self._limits.array_length, length, False
        else:
            what = "an extension type" if head in _EXTENSIONS else "a byte that begins no value"
            raise ProtocolError(f"a message contains {what} (0x{head:02x})")
        self._values += count
        if length > most:
            raise ProtocolError(f"an array or map has {length} elements, and may have {most}")
        if self._values > self._limits.values:
            raise ProtocolError(f"a message has more than {self._limits.values} values")
        return start, count, is_map


def _length(buffer: bytearray, position: int, size: int) -> tuple[int, int]:
    """Where what follows a length of ``size`` bytes starts, and the length; with size 0 it is in the first byte."""
    start = position + 1 + size
    if not size:
        return start, buffer[position] & 0x0F
    if start > len(buffer):
        raise IndexError
    return start, int.from_bytes(buffer[position + 1 : start], "big")
