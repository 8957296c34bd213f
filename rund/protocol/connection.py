"""One end of a MessagePack-RPC connection: bytes in, messages out, no I/O.

Rules: bytes are given with `Connection.receive_data`, messages are taken with `Connection.next_message` until it says
NEED_DATA; held that way, a connection never holds more than one message's limit and one piece of data.  After a
`ProtocolError` it holds nothing and says the same for ever.
Source: https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
"""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # it ships no types

from rund.protocol.frame import Frame
from rund.protocol.limits import REPLY_LIMITS, REQUEST_LIMITS, Limits
from rund.protocol.messages import CLOSED, NEED_DATA, Notification, ProtocolError, Request, Response, Sentinel

SERVER = "server"
CLIENT = "client"
_MESSAGE_HEADS = frozenset((0x93, 0x94, 0xDC, 0xDD))  # arrays of three or four elements, and those that may be


class Connection:
    """What arrives at one end: requests and notifications at a SERVER, responses and notifications at a CLIENT."""

    __slots__ = ("_buffer", "_ended", "_fault", "_frame", "_limits", "_role")

    def __init__(self, role: str, limits: Limits | None = None) -> None:
        if role not in {SERVER, CLIENT}:
            raise ValueError(f"a role is {SERVER!r} or {CLIENT!r}, not {role!r}")
        self._role = role
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
        """The next message; NEED_DATA if there is none yet, CLOSED if there will be none.  Raises `ProtocolError`."""
        if self._fault is not None:
            raise self._fault
        try:
            return self._next_message()
        except ProtocolError as error:
            self._fault = error
            self._buffer.clear()
            self._frame = None
            raise

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
        self._frame = None
        if end == len(buffer):
            values = _decoded(buffer)
            buffer.clear()
        else:
            values = _decoded(buffer[:end])
            del buffer[:end]  # moves no bytes: a bytearray keeps an offset of its own
        return _message(values, self._role)


def _decoded(whole: bytearray) -> list[object]:
    try:
        values: list[object] = msgpack.unpackb(whole, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise ProtocolError("a string is not UTF-8") from None
    return values


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The map of ``pairs``.  The decoder calls this and nothing else, and it makes nothing but maps."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ProtocolError("a map has the same key twice")
    return values


def _message(values: list[object], role: str) -> Request | Response | Notification:
    count, kind = len(values), values[0]
    if type(kind) is int:
        if kind == 0 and count == 4 and role == SERVER:
            return Request(_read_msgid(values[1]), _read_method(values[2]), _read_params(values[3]))
        if kind == 1 and count == 4 and role == CLIENT:
            return Response(_read_msgid(values[1]), _read_error(values[2]), values[3])
        if kind == 2 and count == 3:
            return Notification(_read_method(values[1]), _read_params(values[2]))
    raise ProtocolError(f"an array of {count} that begins with {kind!r:.20} is no message that a {role} takes")


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
