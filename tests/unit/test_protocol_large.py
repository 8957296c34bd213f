"""A large message, decoded a piece at a time, is what it is decoded at once."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rund.protocol import LARGE, NEED_DATA, SERVER, Connection, ProtocolError, Request, encode_request

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


def read(data: bytes, large: int | None) -> tuple[list[Request], bool]:
    """The requests in ``data``, and whether one of them was large."""
    connection = Connection(SERVER, large=large)
    connection.receive_data(data)
    found, some = [], False
    while (message := connection.next_message()) is not NEED_DATA:
        if message is LARGE:
            some = True
            for _ in connection.decode():
                pass
        else:
            assert isinstance(message, Request)
            found.append(message)
    return found, some


@given(params=st.lists(VALUES), padding=st.integers(0, 10_000))
@settings(max_examples=60)
def test_pieces_make_the_same_message(params: list[object], padding: int) -> None:
    data = encode_request(7, "run", [*params, "x" * padding]) + encode_request(8, "list", [])
    (small, after), _ = read(data, None)
    (large, also), some = read(data, 100)
    assert some
    assert (large.params, large.msgid, large.method) == (small.params, 7, "run")
    assert after.method == also.method == "list"


def test_what_holds_little_is_not_large() -> None:
    (request,), some = read(encode_request(1, "list", [{"limit": 3}]), 64 * 1024)
    assert not some
    assert request.asked == msgpack.packb("list") + msgpack.packb([{"limit": 3}])
    assert request.holds < 1000


def test_many_small_values_hold_much_more_than_their_bytes() -> None:
    (request,), some = read(encode_request(1, "run", [[{}] * 10_000]), 64 * 1024)
    assert some
    assert request.holds > 500_000


@pytest.mark.parametrize("fault", [b"\xa1\xff", b"\x82\xa1a\x01\xa1a\x02"], ids=["not UTF-8", "key twice"])
def test_a_fault_within_a_large_message_breaks_the_connection(fault: bytes) -> None:
    connection = Connection(SERVER, large=10)
    connection.receive_data(b"\x94\x00\x01\xa3run\x92" + msgpack.packb("x" * 20_000) + fault)
    assert connection.next_message() is LARGE
    with pytest.raises(ProtocolError):
        list(connection.decode())
    with pytest.raises(ProtocolError):
        connection.next_message()


@pytest.mark.parametrize("msgid", [0, 127, 128, 2**16, 2**32 - 1])
def test_what_is_asked_is_the_same_whatever_the_msgid(msgid: int) -> None:
    (request,), _ = read(encode_request(msgid, "show", [{"run": "@1"}]), None)
    (other,), _ = read(encode_request(1, "show", [{"run": "@1"}]), None)
    assert request.asked == other.asked != b""


def test_what_is_long_is_asked_under_no_name() -> None:
    (request,), _ = read(encode_request(1, "show", [{"run": "x" * 1000}]), None)
    assert request.asked == b""


def test_what_the_msgid_is_of_an_unusual_form_is_asked_under_no_name() -> None:
    (request,), _ = read(b"\x94\x00\xcf" + (5).to_bytes(8, "big") + msgpack.packb("list") + b"\x90", None)
    assert (request.msgid, request.asked) == (5, b"")
