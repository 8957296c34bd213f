"""Bytes in, messages out: every case whole, byte by byte, and with something after it."""

from __future__ import annotations

import struct

import msgpack
import pytest

from rund.protocol import (
    CLIENT,
    CLOSED,
    NEED_DATA,
    SERVER,
    Connection,
    Limits,
    Notification,
    ProtocolError,
    Request,
    Response,
    Sentinel,
    encode_notification,
    encode_request,
)

Read = Request | Response | Notification | Sentinel


def drain(connection: Connection) -> list[Read]:
    """The messages that are there."""
    messages: list[Read] = []
    while not isinstance(message := connection.next_message(), Sentinel):
        messages.append(message)
    return messages


def feed(connection: Connection, pieces: list[bytes]) -> None:
    for piece in pieces:
        connection.receive_data(piece)
        drain(connection)


def shown(messages: list[Read]) -> list[str]:
    return [repr(message) for message in messages]


def read_every_way(role: str, data: bytes, limits: Limits | None = None) -> list[str]:
    """What is read of ``data``, the same whole, byte by byte, and with more messages after it."""
    whole = Connection(role, limits)
    whole.receive_data(data)
    messages = shown(drain(whole))
    assert whole.next_message() is NEED_DATA
    assert not whole.has_partial

    bytewise, one_by_one = Connection(role, limits), []
    for position, byte in enumerate(data, 1):
        bytewise.receive_data(bytes([byte]))
        one_by_one += shown(drain(bytewise))
        assert bytewise.has_partial == (position < len(data)) or len(messages) > 1
    assert one_by_one == messages

    followed = Connection(role, limits)
    followed.receive_data(data + data + data[:-1])
    assert shown(drain(followed)) == messages * 2 + messages[:-1]
    assert followed.has_partial
    return messages


def refuse_every_way(role: str, data: bytes, limits: Limits | None = None) -> str:
    """The fault that is found in ``data``, the same whole, byte by byte, and after a good message; and for ever."""
    faults = set()
    good = encode_notification("before", [])
    for pieces in ([data], [bytes([byte]) for byte in data], [data + b"more"], [good + data]):
        connection = Connection(role, limits)
        with pytest.raises(ProtocolError) as caught:
            feed(connection, pieces)
        faults.add(caught.value.message)
        assert not connection.has_partial
        for deed in (connection.next_message, lambda held=connection: held.receive_data(good)):
            with pytest.raises(ProtocolError) as again:
                deed()
            assert again.value is caught.value
    (fault,) = faults
    return fault


PARAMS = [
    [],
    None,
    {},
    [{}],
    [{"a": None, "b": [True, False], "c": {"d": {"e": []}}}],
    [
        {
            "numbers": [
                0,
                127,
                128,
                255,
                256,
                65_536,
                2**32,
                2**64 - 1,
                -1,
                -32,
                -33,
                -129,
                -32_769,
                -(2**31) - 1,
                -(2**63),
            ]
        }
    ],
    [{"floats": [0.5, -0.0, 1e300, float("inf"), float("nan")]}],
    [{"strings": ["", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65_536, "é", "\0", "日本"]}],
    [{"bytes": [b"", b"\xff" * 255, b"\xff" * 256, b"\xff" * 65_536]}],
    [{"lists": [[0] * 15, [0] * 16, [0] * 65_536]}],
    [{"maps": [{str(n): n for n in range(15)}, {str(n): n for n in range(16)}, {str(n): n for n in range(65_536)}]}],
    [{"x" * 32: {"y" * 256: {"z" * 65_536: 1}}}],
]


@pytest.mark.parametrize("params", PARAMS, ids=lambda params: repr(params)[:20])
def test_a_request_is_read_with_its_params(params: object) -> None:
    assert read_every_way(SERVER, msgpack.packb([0, 7, "list", params])) == [f"Request(7, 'list', {params!r})"]


@pytest.mark.parametrize("role", [SERVER, CLIENT])
def test_a_notification_is_read_by_both_sides(role: str) -> None:
    assert read_every_way(role, encode_notification("event", [1])) == ["Notification('event', [1])"]


@pytest.mark.parametrize(
    ("error", "result", "text"),
    [(None, [1], None), ([0, "busy: it runs"], None, "busy: it runs"), (None, None, None)],
)
def test_a_response_is_read_by_a_client(error: object, result: object, text: str | None) -> None:
    assert read_every_way(CLIENT, msgpack.packb([1, 7, error, result])) == [f"Response(7, {text!r}, {result!r})"]


@pytest.mark.parametrize("msgid", [0, 1, 127, 128, 2**32 - 1])
def test_every_msgid_is_read(msgid: int) -> None:
    assert read_every_way(SERVER, encode_request(msgid, "a", [])) == [f"Request({msgid}, 'a', [])"]


@pytest.mark.parametrize("head", [b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04"])
def test_a_message_may_be_a_long_form_of_array(head: bytes) -> None:
    assert read_every_way(SERVER, head + b"\x00\x01\xa1a\x90") == ["Request(1, 'a', [])"]


MALFORMED = {
    "no array": msgpack.packb({"method": "list"}),
    "a number": b"\x00",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "no value": b"\x94\x00\x01\xa1a\xc1",
    "two elements": msgpack.packb([2, "event"]),
    "three elements of a request": msgpack.packb([0, 1, "list"]),
    "five elements": msgpack.packb([0, 1, "list", [], None]),
    "four elements of a notification": msgpack.packb([2, "event", [], None]),
    "unknown kind": msgpack.packb([3, 1, "list", []]),
    "kind is true": msgpack.packb([True, 1, "list", []]),
    "kind is a float": msgpack.packb([0.0, 1, "list", []]),
    "kind is a list": msgpack.packb([[0], 1, "list", []]),
    "negative msgid": msgpack.packb([0, -1, "list", []]),
    "large msgid": msgpack.packb([0, 2**32, "list", []]),
    "msgid is true": msgpack.packb([0, True, "list", []]),
    "msgid is a float": msgpack.packb([0, 1.0, "list", []]),
    "msgid is nil": msgpack.packb([0, None, "list", []]),
    "method is a number": msgpack.packb([0, 1, 2, []]),
    "method is binary": msgpack.packb([0, 1, b"list", []]),
    "params are a string": msgpack.packb([0, 1, "list", "x"]),
    "params are a number": msgpack.packb([0, 1, "list", 0]),
    "notified params are a string": msgpack.packb([2, "event", "x"]),
    "notified method is nil": msgpack.packb([2, None, []]),
    "extension": msgpack.packb([0, 1, "list", [msgpack.ExtType(1, b"x")]]),
    "timestamp": msgpack.packb([0, 1, "list", [msgpack.Timestamp(1)]]),
    "long extension": msgpack.packb([0, 1, "list", [msgpack.ExtType(1, b"x" * 300)]]),
    "integer key": msgpack.packb([0, 1, "list", [{1: 2}]]),
    "binary key": msgpack.packb([0, 1, "list", [{b"a": 2}]]),
    "nil key": msgpack.packb([0, 1, "list", [{"a": 1, None: 2}]]),
    "list as key": b"\x94\x00\x01\xa1a\x91\x81\x90\x01",
    "key after a nested map": b"\x94\x00\x01\xa1a\x91\x82\xa1a\x81\xa1b\x01\x05\x01",
    "same key twice": b"\x94\x00\x01\xa1a\x91\x82\xa1b\x01\xa1b\x02",
    "same key in two forms": b"\x94\x00\x01\xa1a\x91\x82\xa1b\x01\xd9\x01b\x02",
    "method is not UTF-8": b"\x94\x00\x01\xa1\xff\x90",
    "string is not UTF-8": b"\x94\x00\x01\xa1a\x91\xa2\xc3\x28",
    "key is not UTF-8": b"\x94\x00\x01\xa1a\x91\x81\xa1\xff\x01",
    "surrogate": b"\x94\x00\x01\xa1a\x91\xa3\xed\xa0\x80",
    "response": msgpack.packb([1, 1, None, None]),
    "deep": b"\x94\x00\x01\xa1a" + b"\x91" * 40,
    "very deep": b"\x94\x00\x01\xa1a" + b"\x91" * 5000,
    "very deep maps": b"\x94\x00\x01\xa1a" + b"\x81\xa1a" * 5000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_is_refused(data: bytes) -> None:
    refuse_every_way(SERVER, data)


@pytest.mark.parametrize(
    "message",
    [[0, 1, "list", []], [1, 1, "text", None], [1, 1, [0], None], [1, 1, ["x", "y"], None], [1, 1, [0, 1], None]],
    ids=repr,
)
def test_a_client_refuses_requests_and_errors_of_another_form(message: list[object]) -> None:
    refuse_every_way(CLIENT, msgpack.packb(message))


CLAIMS = {
    "string": b"\x94\x00\x01\xdb" + struct.pack(">I", 2**32 - 1),
    "binary": b"\x94\x00\x01\xa1a\x91\xc6" + struct.pack(">I", 10**9),
    "array": b"\x94\x00\x01\xa1a\xdd" + struct.pack(">I", 2**32 - 1),
    "map": b"\x94\x00\x01\xa1a\xdf" + struct.pack(">I", 2**31),
    "message": b"\xdd" + struct.pack(">I", 2**32 - 1),
}


@pytest.mark.parametrize("data", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_claim_beyond_the_limits_is_refused_as_soon_as_it_is_made(data: bytes) -> None:
    connection = Connection(SERVER)
    connection.receive_data(data[:-1])
    assert connection.next_message() is NEED_DATA
    refuse_every_way(SERVER, data)


LIMITED = {
    "message_bytes": (Limits(message_bytes=1000), "x" * 991, "x" * 992),
    "string_bytes": (Limits(string_bytes=300), ["x" * 300, b"x" * 300], "x" * 301),
    "binary": (Limits(string_bytes=300), b"x" * 300, b"x" * 301),
    "array_length": (Limits(array_length=20), [[0] * 20] * 3, [0] * 21),
    "map_length": (Limits(map_length=2), {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}),
    "values": (Limits(values=1 + 4 + 1 + 10), [0] * 10, [0] * 11),
    "values of maps": (Limits(values=1 + 4 + 1 + 10), dict.fromkeys("abcde"), dict.fromkeys("abcdef")),
    "depth": (Limits(depth=5), [[[0], {}]], [[[{"a": 0}]]]),
    "depth of what is empty": (Limits(depth=5), [[[]]], [[[[]]]]),
}


@pytest.mark.parametrize(("limits", "within", "beyond"), LIMITED.values(), ids=LIMITED.keys())
def test_each_limit_is_the_most_that_is_read(limits: Limits, within: object, beyond: object) -> None:
    assert len(read_every_way(SERVER, encode_request(1, "a", [within]), limits)) == 1
    refuse_every_way(SERVER, encode_request(1, "a", [beyond]), limits)


def test_the_end_of_the_stream_is_told_after_the_messages_before_it() -> None:
    connection = Connection(SERVER)
    connection.receive_data(encode_request(1, "a", []))
    connection.receive_data(b"")
    assert len(drain(connection)) == 1
    assert connection.next_message() is CLOSED
    assert connection.next_message() is CLOSED
    with pytest.raises(ProtocolError):
        connection.receive_data(b"x")


@pytest.mark.parametrize("cut", range(1, len(encode_request(1, "append", [{"a": 1}]))))
def test_the_end_of_the_stream_within_a_message_is_a_fault(cut: int) -> None:
    connection = Connection(SERVER)
    connection.receive_data(encode_request(1, "append", [{"a": 1}])[:cut])
    assert connection.next_message() is NEED_DATA
    connection.receive_data(b"")
    with pytest.raises(ProtocolError, match="within a message"):
        connection.next_message()


def test_a_role_is_server_or_client() -> None:
    with pytest.raises(ValueError, match="role"):
        Connection("proxy")
