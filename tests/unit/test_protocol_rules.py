"""What holds of any messages, any cuts and any bytes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from rund.protocol import (
    CLIENT,
    SERVER,
    Connection,
    Limits,
    Notification,
    ProtocolError,
    Request,
    Sentinel,
    encode_notification,
    encode_request,
    encode_response,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
atoms = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | text | st.binary(max_size=300)
values = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(text, inner, max_size=20), max_leaves=50
)
maps = st.dictionaries(text, values, max_size=5)
params = st.none() | st.lists(values, max_size=3) | maps
msgids = st.integers(0, 2**32 - 1)
to_server = st.builds(encode_request, msgids, text, params) | st.builds(encode_notification, text, params)
to_client = st.builds(encode_response, msgids, st.none() | text, values) | st.builds(encode_notification, text, params)


def read(role: str, pieces: list[bytes], limits: Limits | None = None) -> list[Any]:
    """The messages of ``pieces``, and then the fault that ended them, if any."""
    connection = Connection(role, limits)
    messages: list[Any] = []
    most = (limits or Limits()).message_bytes
    try:
        for piece in pieces:
            connection.receive_data(piece)
            while not isinstance(message := connection.next_message(), Sentinel):
                messages.append(message)
            assert connection.buffered < most
            assert connection.has_partial == (connection.buffered > 0)
    except ProtocolError as error:
        assert connection.buffered == 0
        messages.append(error)
    return messages


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges) if end > start]


def shown(messages: list[Any]) -> list[str]:
    return [repr(message) for message in messages]


cuts = st.lists(st.integers(0, 2**20), max_size=20)


@given(st.lists(to_server, max_size=5), cuts)
def test_the_same_messages_are_read_wherever_their_bytes_are_cut(messages: list[bytes], places: list[int]) -> None:
    cut_anywhere = read(SERVER, cut(b"".join(messages), places))
    assert len(cut_anywhere) == len(messages)
    assert all(isinstance(message, (Request, Notification)) for message in cut_anywhere)
    assert shown(cut_anywhere) == shown(read(SERVER, messages))


@given(st.lists(to_client, max_size=5), cuts)
def test_a_client_reads_the_same_wherever_it_is_cut(messages: list[bytes], places: list[int]) -> None:
    cut_anywhere = read(CLIENT, cut(b"".join(messages), places))
    assert len(cut_anywhere) == len(messages)
    assert shown(cut_anywhere) == shown(read(CLIENT, messages))


@given(msgids, text, maps)
def test_what_is_encoded_is_read_back(msgid: int, method: str, given_params: dict[str, object]) -> None:
    (message,) = read(SERVER, [encode_request(msgid, method, [given_params])])
    assert (message.msgid, message.method) == (msgid, method)
    assert same(message.params, [given_params])


def same(one: object, other: object) -> bool:
    """Equality in which NaN equals itself, and types count."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or one.hex() == other.hex()
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return type(one) is type(other) and one == other


small = Limits(message_bytes=200, depth=4, values=50, string_bytes=100, array_length=10, map_length=5)
beginnings = st.sampled_from(
    [b"", b"\x94", b"\x94\x00\x01\xa1a", b"\x94\x00\x01\xa1a\x91", b"\x93\x02\xa1a\x91\x82\xa1b"]
)


@given(st.sampled_from([SERVER, CLIENT]), beginnings, st.binary(max_size=400), cuts)
def test_any_bytes_give_messages_or_a_protocol_error_the_same_however_cut(
    role: str, beginning: bytes, data: bytes, places: list[int]
) -> None:
    data = beginning + data
    whole = read(role, [data] if data else [], small)
    assert shown(read(role, cut(data, places), small)) == shown(whole)


@given(to_server, st.integers(0, 2**20), st.integers(0, 255))
def test_a_damaged_message_gives_messages_or_a_protocol_error(message: bytes, place: int, byte: int) -> None:
    damaged = bytearray(message)
    damaged[place % len(message)] = byte
    for each in read(SERVER, [bytes(damaged)]):
        assert isinstance(each, (Request, Notification, ProtocolError))


@given(values)
def test_a_frame_ends_where_the_decoder_says(value: object) -> None:
    encoded = msgpack.packb([2, "a", [value]])
    (message,) = read(SERVER, [encoded])
    assert same(message.params, msgpack.unpackb(encoded)[2])


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 300))
def test_no_more_is_held_than_the_limit_whatever_comes(data: bytes, size: int) -> None:
    endless = b"\x93\x02\xa1a\xdd\x00\x00\x00\x0a" + data * 100
    read(SERVER, [endless[start : start + size] for start in range(0, len(endless), size)], small)
