"""Messages to bytes, as MessagePack-RPC has them."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.protocol import EncodingError, encode_notification, encode_request, encode_response, pack
from rund.protocol.encoding import pack_list

INTEGERS = st.integers(-(2**63), 2**64 - 1)


def test_messages_are_those_of_messagepack_rpc() -> None:
    assert msgpack.unpackb(encode_request(7, "list", [{"limit": 1}])) == [0, 7, "list", [{"limit": 1}]]
    assert msgpack.unpackb(encode_response(7, None, {"a": (1,)})) == [1, 7, None, {"a": [1]}]
    assert msgpack.unpackb(encode_response(7, "busy: it runs", None)) == [1, 7, [0, "busy: it runs"], None]
    assert msgpack.unpackb(encode_notification("event", [1])) == [2, "event", [1]]


def nested() -> list[object]:
    outer: list[object] = []
    for _ in range(100_000):
        outer = [outer]
    return outer


def circular() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "value", [object(), {1}, 2**64, -(2**63) - 1, "\udcff", nested(), circular()], ids=lambda value: repr(type(value))
)
def test_what_the_wire_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(EncodingError):
        encode_response(1, None, value)
    with pytest.raises(EncodingError):
        encode_request(1, "a", [value])


def test_an_error_is_told_whatever_is_in_its_text() -> None:
    name = b"caf\xe9.py".decode(errors="surrogateescape")
    told = msgpack.unpackb(encode_response(1, f"invalid: no such script: {name}", None))
    assert told[2] == [0, "invalid: no such script: caf\\udce9.py"]


@given(
    st.dictionaries(st.text(), st.lists(INTEGERS | st.text(), max_size=20), max_size=20),
    st.sets(st.integers(0, 19)),
)
def test_what_is_packed_in_parts_is_what_it_is_whole(value: dict[str, list[int | str]], apart: set[int]) -> None:
    parts = {name: pack_list(iter(each)) if at in apart else each for at, (name, each) in enumerate(value.items())}
    assert pack(parts).data == pack(value).data


@pytest.mark.parametrize("length", [0, 1, 15, 16, 65_535, 65_536])
def test_lists_of_any_length_are_packed_in_parts(length: int) -> None:
    assert pack({"runs": pack_list(range(length))}).data == msgpack.packb({"runs": list(range(length))})
    wide = {str(number): number for number in range(length)}
    assert pack({**wide, "runs": pack_list([])}).data == msgpack.packb({**wide, "runs": []})


def test_what_cannot_be_carried_is_refused_in_parts_too() -> None:
    with pytest.raises(EncodingError):
        pack_list([1, object()])
    with pytest.raises(EncodingError):
        pack({"runs": pack_list([]), "next": object()})
