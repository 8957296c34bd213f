"""The messages of MessagePack-RPC, as values."""

from __future__ import annotations

from rund.errors import InternalError, RundError


class ProtocolError(RundError):
    """Bytes that are not MessagePack-RPC, or more than the limits allow; the connection is of no further use."""

    code = "invalid"


class EncodingError(InternalError):
    """A value that the wire cannot carry."""


class Request:
    """``[0, msgid, method, params]``: wants a `Response` with its ``msgid``.

    ``asked``: what follows the msgid, as it came, where that is short: two requests with the same ask the same.
    ``holds``: about how many bytes of memory it takes.
    """

    __slots__ = ("asked", "holds", "method", "msgid", "params")

    def __init__(self, msgid: int, method: str, params: object, *, asked: bytes = b"", holds: int = 0) -> None:
        self.msgid = msgid
        self.method = method
        self.params = params
        self.asked = asked
        self.holds = holds

    def __repr__(self) -> str:
        return f"Request({self.msgid!r}, {self.method!r}, {self.params!r})"


class Response:
    """``[1, msgid, error, result]``; ``error`` is ``"CODE: message"``, or None where the request succeeded."""

    __slots__ = ("error", "msgid", "result")

    def __init__(self, msgid: int, error: str | None, result: object) -> None:
        self.msgid = msgid
        self.error = error
        self.result = result

    def __repr__(self) -> str:
        return f"Response({self.msgid!r}, {self.error!r}, {self.result!r})"


class Notification:
    """``[2, method, params]``: wants no answer."""

    __slots__ = ("method", "params")

    def __init__(self, method: str, params: object) -> None:
        self.method = method
        self.params = params

    def __repr__(self) -> str:
        return f"Notification({self.method!r}, {self.params!r})"


class Sentinel:
    """What is told where there is no message to tell of."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NEED_DATA = Sentinel("NEED_DATA")
LARGE = Sentinel("LARGE")
CLOSED = Sentinel("CLOSED")
