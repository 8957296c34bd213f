"""Requests and their answers on one connection, without I/O: what the sync and the async client share."""

from __future__ import annotations

import os

from runctl.failures import DaemonEndedError, NoDaemonError
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


# What may take as long as it does.  To ask it again changes nothing.
WAITING = frozenset(("wait", "output", "events"))
# A change is made under an id, so that to ask for it again gives the first answer and changes nothing more.
_CHANGING = frozenset(("run", "restart", "start", "stop", "delete", "restore", "purge", "set", "pause", "resume"))
_NEVER_AGAIN = frozenset(("shutdown", "subscribe", "unsubscribe"))  # of this daemon, or connection


class _Asked:
    """A request without an answer yet."""

    __slots__ = ("again", "data", "method")

    def __init__(self, method: str, data: bytes) -> None:
        self.method = method
        self.data = data
        self.again = method not in _NEVER_AGAIN


class Exchange:
    """One connection's requests, by number, and the answers that have come."""

    has_answered = False  # some daemon, this process

    def __init__(self) -> None:
        self._protocol = Connection(CLIENT)
        self._last = 0
        self._asked: dict[int, _Asked] = {}  # in the order sent
        self._open = 0  # requests whose answer has not been taken
        self._answers: dict[int, Response] = {}
        self._stopped = False  # by a client, so that no other daemon is to be expected
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
        if method in _CHANGING:
            given.setdefault("request_id", os.urandom(16).hex())
        try:
            data = encode_request(self._last + 1, method, [given])
        except EncodingError as error:
            raise InvalidError(f"{error.message}: give UTF-8 text, numbers, booleans, lists or None") from None
        self._last += 1
        self._open += 1
        self._asked[self._last] = _Asked(method, data)
        return self._last, data

    def waits(self, number: int) -> bool:
        """Whether request ``number`` is of a kind that may take as long as it does."""
        return self._asked[number].method in WAITING

    def begin_again(self, error: NoDaemonError) -> bytes:
        """What is to be sent to the next daemon, now that the connection has ended by ``error``: what has no answer.

        Raises ``error`` if something of it was asked twice already, cannot be asked again, or the daemon was stopped.
        """
        if self._stopped or not all(asked.again for asked in self._asked.values()):
            raise error
        self._protocol = Connection(CLIENT)
        for asked in self._asked.values():
            asked.again = asked.method in WAITING
        return b"".join(asked.data for asked in self._asked.values())

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
                if isinstance(message, Notification) and message.method == "closing":
                    self._stopped = True
                if isinstance(message, Response):
                    self._answers[message.msgid] = message
                    self._asked.pop(message.msgid, None)
        except ProtocolError as error:
            raise InternalError(f"what the daemon answered cannot be read: {error.message}") from None

    def _closed(self) -> RundError:
        if self._stopped:
            return DaemonEndedError("the daemon was stopped: `runctl daemon start` starts it again")
        if self._farewell is None:
            return DaemonEndedError("the daemon has closed the connection: its log tells why")
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
        Exchange.has_answered = True
        return response.result
