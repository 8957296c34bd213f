"""Requests and their answers on one connection, without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.exchange import Exchange
from runctl.failures import NoDaemonError, exit_status

from rund.errors import CODES, BusyError, InternalError, InvalidError
from rund.protocol import NEED_DATA, SERVER, Connection, Request, encode_notification, encode_response


def requests(data: bytes) -> list[Request]:
    connection = Connection(SERVER)
    connection.receive_data(data)
    found = []
    while (message := connection.next_message()) is not NEED_DATA:
        assert isinstance(message, Request)
        found.append(message)
    return found


def test_params_that_are_none_are_not_sent() -> None:
    _, data = Exchange().request("list", {"limit": 3, "label": None, "trash": False})
    (request,) = requests(data)
    assert (request.method, request.params) == ("list", [{"limit": 3, "trash": False}])


@given(st.permutations(range(4)), st.integers(1, 7))
def test_answers_find_their_requests_in_any_order_and_in_any_pieces(order: list[int], piece: int) -> None:
    exchange = Exchange()
    numbers = [exchange.request("show", {"run": str(index)})[0] for index in range(4)]
    data = b"".join(
        encode_notification("event", []) + encode_response(numbers[index], None, index * 10) for index in order
    )
    for start in range(0, len(data), piece):
        exchange.receive(data[start : start + piece])
    assert not exchange.settled
    assert [exchange.take(number) for number in numbers] == [0, 10, 20, 30]
    assert exchange.settled


def test_an_error_is_raised_as_what_its_code_says() -> None:
    exchange = Exchange()
    number, _ = exchange.request("restart", {})
    exchange.receive(encode_response(number, "busy: run 6d0f7a11 is running", None))
    with pytest.raises(BusyError, match="run 6d0f7a11 is running") as raised:
        exchange.take(number)
    assert raised.value.message == "run 6d0f7a11 is running"
    assert exchange.settled


def test_what_the_wire_cannot_carry_is_invalid_and_leaves_the_connection_usable() -> None:
    exchange = Exchange()
    with pytest.raises(InvalidError, match="UTF-8"):
        exchange.request("run", {"operation": "\udcff.py"})
    with pytest.raises(InvalidError):
        exchange.request("run", {"flags": {"x": object()}})
    assert exchange.settled


def test_the_end_of_the_stream_is_told() -> None:
    with pytest.raises(NoDaemonError):
        Exchange().receive(b"")


def test_an_answer_that_is_none_is_a_fault_of_the_daemon_not_of_the_user() -> None:
    with pytest.raises(InternalError, match="cannot be read"):
        Exchange().receive(b"HTTP/1.1 400 Bad Request\r\n")


def test_every_code_has_an_exit_status() -> None:
    statuses = {code: exit_status(kind("")) for code, kind in CODES.items()}
    assert statuses == {
        "invalid": 2,
        "not-found": 4,
        "ambiguous": 4,
        "busy": 5,
        "conflict": 5,
        "unsupported": 1,
        "full": 1,
        "internal": 1,
    }
    assert exit_status(NoDaemonError("")) == 3
