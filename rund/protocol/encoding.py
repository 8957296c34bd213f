"""Messages to bytes."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack  # type: ignore[import-untyped]  # it ships no types

from rund.protocol.messages import EncodingError

_LARGEST_KEPT = 1024 * 1024  # bytes; a packer that has packed more has a buffer as large
# First bytes: of a short one, with its length in it; of one whose length stands in the next two bytes, or else in four.
_ARRAY = (0x90, 0xDC)
_MAP = (0x80, 0xDE)
_idle: list[msgpack.Packer] = []  # each new one allocates a buffer of its own, which costs more than most messages


class Packed:
    """A value that is packed already, to be the result of a response, or a value of the map that is."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def pack(value: object) -> Packed:
    """``value`` as the wire carries it; in a map some values may be packed already.  Raises `EncodingError`."""
    if not isinstance(value, dict) or not any(isinstance(part, Packed) for part in value.values()):
        return Packed(_encode(value))
    parts = [_head(_MAP, len(value))]
    for name, part in value.items():
        parts += (_encode(name), part.data if isinstance(part, Packed) else _encode(part))
    return Packed(b"".join(parts))


def pack_list(values: Iterable[object]) -> Packed:
    """A list of ``values``, packed one by one: other threads have their turns between two.  Raises `EncodingError`."""
    parts = [_encode(value) for value in values]
    return Packed(b"".join((_head(_ARRAY, len(parts)), *parts)))


def encode_request(msgid: int, method: str, params: object) -> bytes:
    """A request as bytes.  Raises `EncodingError`."""
    return _encode([0, msgid, method, params])


def encode_response(msgid: int, error_text: str | None, result: object) -> bytes:
    """A response as bytes: the error ``"CODE: message"`` or, where it is None, the result.

    An error can always be encoded: what is not Unicode in it, as in a name of a file, is escaped.
    Raises `EncodingError` for a result.
    """
    if isinstance(result, Packed):
        return b"\x94\x01" + _encode(msgid) + b"\xc0" + result.data
    if error_text is None:
        return _encode([1, msgid, None, result])
    return _encode([1, msgid, [0, error_text.encode(errors="backslashreplace").decode()], None])


def encode_notification(method: str, params: list[object]) -> bytes:
    """A notification as bytes.  Raises `EncodingError`."""
    return _encode([2, method, params])


def _head(kind: tuple[int, int], length: int) -> bytes:
    short, long = kind
    if length < 16:
        return bytes((short | length,))
    return bytes((long,)) + length.to_bytes(2) if length < 65_536 else bytes((long + 1,)) + length.to_bytes(4)


def _encode(message: object) -> bytes:
    try:
        packer = _idle.pop()  # no other thread has it meanwhile
    except IndexError:
        packer = msgpack.Packer()
    try:
        encoded: bytes = packer.pack(message)
    except (TypeError, ValueError, OverflowError) as error:  # among ValueErrors: lone surrogates, too deep, circular
        raise EncodingError(f"a value cannot be sent: {error}") from error
    if len(encoded) <= _LARGEST_KEPT:  # one that failed, or has grown, is not used again
        _idle.append(packer)
    return encoded
