"""What is fuzzed: functions of any bytes, which raise where a rule is broken that must hold for all of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import cycle, islice

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
    _read(names[data[0] % len(names)], given)


def fields(data: bytes) -> None:
    """The same of params that have the method's own names, with values of every kind."""
    left = iter(data)
    names = list(METHODS)
    name = names[next(left, 0) % len(names)]
    own = METHODS[name].__struct_fields__
    given: dict[str, object] = {}
    while own and (byte := next(left, None)) is not None:
        given[own[byte % len(own)]] = _value(left, depth=3)
    _read(name, given)


def _value(left: Iterator[int], depth: int) -> object:
    match next(left, 0) % (8 if depth else 6):
        case 0:
            return None
        case 1:
            return next(left, 0) % 2 == 1
        case 2:
            return int.from_bytes(bytes(islice(left, next(left, 0) % 9)), signed=True)
        case 3:
            return struct.unpack(">d", bytes(islice(left, 8)).ljust(8))[0]
        case 4:
            return bytes(islice(left, next(left, 0) % 32)).decode("latin-1")
        case 5:
            return bytes(islice(left, next(left, 0) % 32))
        case 6:
            return [_value(left, depth - 1) for _ in range(next(left, 0) % 4)]
        case _:
            return {str(_value(left, 0)): _value(left, depth - 1) for _ in range(next(left, 0) % 4)}


def _read(method: str, given: object) -> None:
    try:
        read_params(METHODS[method], given)
    except InvalidError as error:
        assert error.message
        refusal(1, error.message)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (messages, agreement, params, fields)
}
