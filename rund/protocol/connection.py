"""One end of a MessagePack-RPC connection: bytes in, messages out, no I/O.

Rules: bytes are given with `Connection.receive_data`, messages are taken with `Connection.next_message` until it says
NEED_DATA; held that way, a connection never holds more than one message's limit and one piece of data.  After a
`ProtocolError` it holds nothing and says the same for ever.

Decoding a million values takes a second, in which nothing else happens.  So a connection that was given a bound says
LARGE for a whole message that takes more memory, and `Connection.decode` decodes that one a piece at a time.
Source: https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
"""

from __future__ import annotations

from collections.abc import Iterator

import msgpack  # type: ignore[import-untyped]  # it ships no types

from rund.protocol.frame import Frame
from rund.protocol.limits import REPLY_LIMITS, REQUEST_LIMITS, Limits
from rund.protocol.messages import CLOSED, LARGE, NEED_DATA, Notification, ProtocolError, Request, Response, Sentinel

SERVER = "server"
CLIENT = "client"
_PIECE = 4096  # bytes that are decoded at once of a large message
_LONGEST_ASKED = 256  # bytes; what is longer is seldom asked twice
_MSGID_BYTES = {0xCC: 2, 0xCD: 3, 0xCE: 5}  # by first byte, if that is not the msgid itself
_MESSAGE_HEADS = frozenset((0x93, 0x94, 0xDC, 0xDD))  # arrays of three or four elements, and those that may be


class Connection:
    """What arrives at one end: requests and notifications at a SERVER, responses and notifications at a CLIENT."""

    __slots__ = ("_buffer", "_decoded", "_ended", "_fault", "_frame", "_large", "_limits", "_role")

    def __init__(self, role: str, limits: Limits | None = None, *, large: int | None = None) -> None:
        if role not in {SERVER, CLIENT}:
            raise ValueError(f"a role is {SERVER!r} or {CLIENT!r}, not {role!r}")
        self._role = role
        self._large = large
        self._decoded: Request | Response | Notification | None = None
        self._limits = limits or (REQUEST_LIMITS if role == SERVER else REPLY_LIMITS)
        self._buffer = bytearray()
        self._frame: Frame | None = None
        self._fault: ProtocolError | None = None
        self._ended = False

    @property
    def buffered(self) -> int:
        """How many bytes are held."""
        return len(self._buffer)

    @property
    def holds(self) -> int:
        """About how many bytes of memory the message that has begun takes, as far as it has been read."""
        return len(self._buffer) if self._frame is None else self._frame.holds

    @property
    def skips(self) -> int:
        """How many of the bytes to come are within a string, and are not looked at."""
        return 0 if self._frame is None else self._frame.skips(len(self._buffer))

    @property
    def has_partial(self) -> bool:
        """Whether bytes are held that no message was made of yet; after NEED_DATA: a message is unfinished."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the other end; ``b""`` is the end of its stream.

        Raises `ProtocolError` if the connection raised one before, or has ended.
        """
        if self._fault is not None:
            raise self._fault
        if self._ended:
            raise ProtocolError("bytes follow the end of the stream")
        if data:
            self._buffer += data
        else:
            self._ended = True

    def next_message(self) -> Request | Response | Notification | Sentinel:
        """The next message; NEED_DATA if there is none yet, CLOSED if there will be none, LARGE if it is to be decoded.

        Raises `ProtocolError`.
        """
        if self._fault is not None:
            raise self._fault
        if self._decoded is not None:
            message, self._decoded = self._decoded, None
            return message
        try:
            return self._next_message()
        except ProtocolError as error:
            self._break(error)
            raise

    def decode(self) -> Iterator[None]:
        """Decode the message that is LARGE, a piece at each step; `next_message` then has it.

        Yields between the pieces.  Raises `ProtocolError`.
        """
        frame, self._frame = self._frame, None
        assert frame is not None  # noqa: S101 - next_message said LARGE
        end = frame.end(self._buffer)
        whole, self._buffer = self._buffer, self._buffer[end:]  # neither of which copies what is large
        try:
            values: list[object] | None = None
            size = len(whole) + _PIECE
            unpacker = msgpack.Unpacker(object_pairs_hook=_unique, read_size=size, max_buffer_size=size)
            with memoryview(whole) as bytes_of_it:
                for start in range(0, end or 0, _PIECE):
                    unpacker.feed(bytes_of_it[start : min(start + _PIECE, end or 0)])
                    values = _unpacked(unpacker)
                    yield
            assert values is not None  # noqa: S101 - the frame has found its end
            self._decoded = _message(values, self._role, b"", frame.holds)
        except ProtocolError as error:
            self._break(error)
            raise

    def _break(self, error: ProtocolError) -> None:
        self._fault = error
        self._buffer.clear()
        self._frame = None

    def _next_message(self) -> Request | Response | Notification | Sentinel:
        buffer = self._buffer
        if not buffer:
            return CLOSED if self._ended else NEED_DATA
        if self._frame is None:
            if buffer[0] not in _MESSAGE_HEADS:
                raise ProtocolError("a message is an array of three or four elements")
            self._frame = Frame(self._limits)
        end = self._frame.end(buffer)
        if end is None:
            if self._ended:
                raise ProtocolError("the stream ended within a message")
            return NEED_DATA
        holds = self._frame.holds
        if self._large is not None and holds > self._large:
            return LARGE
        self._frame = None
        whole = bytes(buffer[:end])
        del buffer[:end]  # moves no bytes: a bytearray keeps an offset of its own
        return _message(_decoded(whole), self._role, whole, holds)


def _decoded(whole: bytes) -> list[object]:
    try:
        values: list[object] = msgpack.unpackb(whole, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise ProtocolError("a string is not UTF-8") from None
    return values


def _unpacked(unpacker: msgpack.Unpacker) -> list[object] | None:
    """What the decoder has made of all that it was fed; None if that is not whole yet."""
    try:
        values: list[object] = unpacker.unpack()
    except msgpack.OutOfData:
        return None
    except UnicodeDecodeError:
        raise ProtocolError("a string is not UTF-8") from None
    return values


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The map of ``pairs``.  The decoder calls this and nothing else, and it makes nothing but maps."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ProtocolError("a map has the same key twice")
    return values


def _message(values: list[object], role: str, whole: bytes, holds: int) -> Request | Response | Notification:
    count, kind = len(values), values[0] if values else None
    if type(kind) is int:
        if kind == 0 and count == 4 and role == SERVER:
            msgid, method, params = _read_msgid(values[1]), _read_method(values[2]), _read_params(values[3])
            return Request(msgid, method, params, asked=_asked(whole), holds=holds)
        if kind == 1 and count == 4 and role == CLIENT:
            return Response(_read_msgid(values[1]), _read_error(values[2]), values[3])
        if kind == 2 and count == 3:
            return Notification(_read_method(values[1]), _read_params(values[2]))
    raise ProtocolError(f"an array of {count} that begins with {kind!r:.20} is no message that a {role} takes")


def _asked(whole: bytes) -> bytes:
    """The bytes of a request after its msgid; b"" where they are many, or the message is written in an unusual way."""
    if len(whole) > _LONGEST_ASKED or whole[:2] != b"\x94\x00":
        return b""
    size = _MSGID_BYTES.get(whole[2], 1 if whole[2] < 0x80 else 0)
    return whole[2 + size :] if size else b""


def _read_msgid(msgid: object) -> int:
    if type(msgid) is int and 0 <= msgid < 2**32:  # a bool is no msgid
        return msgid
    raise ProtocolError("a msgid is an integer from 0 to 2**32-1")


def _read_method(method: object) -> str:
    if isinstance(method, str):
        return method
    raise ProtocolError("a method is a string")


def _read_params(params: object) -> object:
    """Params are a list, a map, or nil for none; what is in them is for the method to judge."""
    if params is None or isinstance(params, (list, dict)):
        return params
    raise ProtocolError("params are a list or a map")


def _read_error(error: object) -> str | None:
    if error is None:
        return None
    if isinstance(error, list) and len(error) == 2 and type(error[0]) is int and isinstance(error[1], str):
        return error[1]
    raise ProtocolError("an error is nil or [0, text]")
