"""What is fuzzed: functions of any bytes, which raise where a rule is broken that must hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import msgpack

from rund.api.params import METHODS, read_params
from rund.errors import InvalidError
from rund.protocol import (
    CLIENT,
    CLOSED,
    LARGE,
    NEED_DATA,
    REQUEST_LIMITS,
    SERVER,
    Connection,
    Limits,
    ProtocolError,
    Sentinel,
)
from rund.server.answering import refusal

SMALL = Limits(message_bytes=4096, depth=8, values=300, string_bytes=1000, array_length=200, map_length=100)


def _told(connection: Connection, pieces: list[bytes]) -> list[str]:
    """The messages in ``pieces``, and the fault that ends them, as text."""
    told: list[str] = []
    try:
        for piece in pieces:
            connection.receive_data(piece)
            while not isinstance(message := connection.next_message(), Sentinel) or message is LARGE:
                if message is LARGE:
                    for _ in connection.decode():
                        pass
                else:
                    told.append(repr(message))
            if message is CLOSED:
                break
            assert message is NEED_DATA
            assert connection.buffered <= 4096 + len(piece)
    except ProtocolError as error:
        told.append(error.message)
        assert not connection.buffered, "it holds nothing after a fault"
    return told


def messages(data: bytes) -> None:
    """A connection says the same of bytes however they come, whoever reads them, and raises nothing unexpected."""
    for role in (SERVER, CLIENT):
        whole = _told(Connection(role, SMALL), [data])
        sizes = cycle((1, 3, 7, 50))
        position, pieces = 0, []
        while position < len(data):
            size = next(sizes)
            pieces.append(data[position : position + size])
            position += size
        assert _told(Connection(role, SMALL), pieces) == whole
        assert _told(Connection(role, SMALL, large=100), [data]) == whole


def agreement(data: bytes) -> None:
    """What is read as a message is what another decoder makes of the same bytes."""
    connection = Connection(SERVER, REQUEST_LIMITS)
    connection.receive_data(data)
    try:
        message = connection.next_message()
    except ProtocolError:
        return
    if not isinstance(message, Sentinel):
        read = len(data) - connection.buffered
        values = msgpack.unpackb(data[:read], strict_map_key=False)
        assert repr(values[-1]) == repr(message.params)


def params(data: bytes) -> None:
    """Any params of any method are read, or refused in words that a client can be sent."""
    if not data:
        return
    names = list(METHODS)
    try:
        given = msgpack.unpackb(data[1:])
    except (ValueError, msgpack.UnpackException):
        return
    if isinstance(given, dict) and not all(isinstance(name, str) for name in given):
        return  # the connection refuses these
    try:
        read_params(METHODS[names[data[0] % len(names)]], given)
    except InvalidError as error:
        assert error.message
        refusal(1, error.message)


TARGETS: dict[str, Callable[[bytes], None]] = {target.__name__: target for target in (messages, agreement, params)}
