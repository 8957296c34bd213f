"""Requests and their answers on one connection, without I/O: what the sync and the async client share."""

from __future__ import annotations

from runctl.failures import NoDaemonError
from rund.errors import InternalError, InvalidError, RundError, error_from_text
from rund.protocol import (
    CLIENT,
    CLOSED,
    NEED_DATA,
    Connection,
    EncodingError,
    Notification,
    ProtocolError,
    Response,
    encode_request,
)

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Exchange:
    """One connection's requests, by number, and the answers that have come."""

    def __init__(self) -> None:
        self._protocol = Connection(CLIENT)
        self._last = 0
        self._open = 0  # requests whose answer has not been taken
        self._answers: dict[int, Response] = {}
        self._farewell: str | None = None  # why the daemon is about to close the connection

    @property
    def settled(self) -> bool:
        """Whether every request has been answered, so that the connection can be used for others."""
        return not self._open

    def request(self, method: str, params: Mapping[str, object]) -> tuple[int, bytes]:
        """The number of a new request, and the bytes to send for it.

        Params that are None are left out.  Raises `InvalidError` for what the wire cannot carry.
        """
        given = {name: value for name, value in params.items() if value is not None}
        try:
            data = encode_request(self._last + 1, method, [given])
        except EncodingError as error:
            raise InvalidError(f"{error.message}: give UTF-8 text, numbers, booleans, lists or None") from None
        self._last += 1
        self._open += 1
        return self._last, data

    def receive(self, data: bytes) -> None:
        """Take what was read from the daemon; ``b""`` is the end of its stream.

        Raises `NoDaemonError` at the end of the stream, or the error that the daemon gave as its reason.
        """
        try:
            self._protocol.receive_data(data)
            while (message := self._protocol.next_message()) is not NEED_DATA:
                if message is CLOSED:
                    raise self._closed()
                if isinstance(message, Notification) and message.method == "error" and isinstance(message.params, list):
                    self._farewell = " ".join(map(str, message.params))
                if isinstance(message, Response):
                    self._answers[message.msgid] = message
        except ProtocolError as error:
            raise InternalError(f"what the daemon answered cannot be read: {error.message}") from None

    def _closed(self) -> RundError:
        if self._farewell is None:
            return NoDaemonError("the daemon has closed the connection: its log tells why")
        return error_from_text(self._farewell)

    def answered(self, number: int) -> bool:
        """Whether request ``number`` has its answer."""
        return number in self._answers

    def take(self, number: int) -> Any:  # noqa: ANN401 - what a method answers is typed where it is asked
        """The result of request ``number``, once; raises the `rund.errors.RundError` that it was answered with."""
        response = self._answers.pop(number)
        self._open -= 1
        if response.error is not None:
            raise error_from_text(response.error)
        return response.result
