"""Clients that are malformed, slow, silent, many or gone, while an honest one is served."""

from __future__ import annotations

import gc
import os
import select
import socket
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from rund.protocol import Limits, Notification, Response, encode_notification, encode_request, encode_response
from rund.server import gate, session
from rund.server.letting_go import let_go
from rund.server.session import Session
from tests.integration.serving import PATIENCE, Served, serving

CLAIM = b"\x94\x00\x01\xdb" + struct.pack(">I", 7 * 1024 * 1024)  # a method of seven MiB


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(
        tmp_path / "socket", unfinished_seconds=0.3, write_seconds=0.3, message=Limits(message_bytes=1_000_000)
    ) as served:
        yield served


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x91" * 100_000,
        b"\x94\x00\x01\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        encode_request(1, "x" * 1_000_000, []),
        encode_response(1, None, "the daemon asked nothing"),
        b"\x94\x00\x01\xa6append\x92\xd4",
    ],
    ids=["no-value", "http", "nested", "claims-string", "claims-array", "too-long", "response", "extension"],
)
def test_what_is_malformed_closes_its_connection_alone(served: Served, garbage: bytes) -> None:
    with served.client() as honest, served.client() as client:
        honest.call("append", value=1)
        with suppress(ConnectionError):
            client.socket.sendall(garbage)
        told = client.until_closed()
        assert all(isinstance(each, Notification) and each.method == "error" for each in told)
        assert honest.call("append", value=2).result == [1, 2]


def test_what_came_before_the_malformed_is_answered(served: Served) -> None:
    with served.client() as client:
        client.socket.sendall(encode_request(1, "append", [{"value": 1}]) + b"\xc1")
        assert client.response().result == [1]
        (farewell,) = client.until_closed()
        assert isinstance(farewell, Notification)
        assert farewell.params[0].startswith("invalid: ")


def test_an_unfinished_message_is_dropped_at_its_deadline_however_it_trickles(served: Served) -> None:
    request = encode_request(1, "append", [{"value": "x" * 10_000}])
    with served.client() as client:
        begun = time.monotonic()
        client.socket.settimeout(0.02)
        for byte in request:
            try:
                client.socket.sendall(bytes([byte]))
                if client.socket.recv(1000):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert 0.2 < time.monotonic() - begun < PATIENCE
    assert served.answerer.values == []


def test_a_client_that_is_idle_between_messages_is_never_dropped(served: Served) -> None:
    with served.client() as idle, served.client() as slow:
        idle.call("append", value=1)
        slow.socket.sendall(b"\x94")
        slow.until_closed()  # its deadline has passed, and so would the idle one's have
        assert idle.call("append", value=2).result == [1, 2]


def test_each_message_has_its_own_deadline(tmp_path: Path) -> None:
    with serving(tmp_path / "socket", unfinished_seconds=2.0) as served:
        while not is_served_all_the_while(served, 2.0):
            pass


def is_served_all_the_while(served: Served, deadline: float) -> bool:
    """Whether a client is answered that has an unfinished message for longer than a message may take, never the same.

    False if it was too slow with one of them itself, which whoever is held up can be.
    """
    whole = encode_request(1, "append", [{"value": 1}])
    with served.client() as client:
        begun = last = time.monotonic()
        client.socket.sendall(whole[:5])
        while last - begun < 1.5 * deadline:
            select.select([], [], [], 0.02)
            before, last = last, time.monotonic()
            with suppress(ConnectionError):  # then it has been closed
                client.socket.sendall(whole[5:] + whole[:5])
            message = client.message()
            if not isinstance(message, Response):
                assert time.monotonic() - before >= deadline, "it was dropped although no message was late"
                return False
    return True


def test_a_client_that_never_reads_is_dropped_at_its_deadline(served: Served) -> None:
    with served.client() as other, served.client() as client:
        client.send("wait", gate="never")
        client.send("big", size=5_000_000)
        other.call("pass", gate="never has ended")
        assert other.call("append", value=1).result == [1]


def test_a_subscriber_that_never_reads_is_dropped_at_its_deadline(served: Served) -> None:
    with served.client() as other, served.client() as client:
        client.send("subscribe", size=100_000)
        other.call("pass", gate="stream has ended")


@pytest.mark.parametrize("method", ["stray", "wait_astray"])
def test_a_stray_cancellation_ends_its_client_alone(served: Served, method: str) -> None:
    with served.client() as honest, served.client() as client:
        honest.call("append", value=1)
        client.send(method)
        assert client.until_closed() == []
        assert honest.call("append", value=2).result == [1, 2]


def test_a_client_that_floods_starves_no_other(tmp_path: Path) -> None:
    flood = encode_notification("nobody_knows", []) * 20_000
    with (
        serving(tmp_path / "socket", unfinished_seconds=10 * PATIENCE) as served,
        served.client() as honest,
        served.client() as flooding,
    ):
        flooding.socket.settimeout(0)
        unsent = flood
        for value in range(50):
            with suppress(BlockingIOError):
                unsent = unsent[flooding.socket.send(unsent) :] or flood
            assert honest.call("append", value=value).error is None


def test_three_hundred_half_open_clients_keep_no_honest_one_from_being_served(tmp_path: Path) -> None:
    with serving(tmp_path / "socket", clients=400) as served, ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(served.client())
            client.socket.sendall(CLAIM)
        with served.client() as honest:
            for value in range(100):
                assert honest.call("append", value=value).error is None


def test_one_client_too_many_is_told_and_another_is_served_when_there_is_room(tmp_path: Path) -> None:
    with serving(tmp_path / "socket", clients=2) as served, served.client() as first, served.client() as second:
        first.call("append", value=1)
        second.call("append", value=1)
        with served.client() as third:
            (told,) = third.until_closed()
            assert isinstance(told, Notification)
            assert told.params[0].startswith("full: ")
        second.socket.shutdown(socket.SHUT_WR)
        assert second.until_closed() == []
        with served.client() as fourth:
            assert fourth.call("append", value=1).error is None


def test_unfinished_messages_of_all_clients_together_are_bounded(tmp_path: Path) -> None:
    limits = {"held_bytes": 3_000_000, "unfinished_seconds": 10 * PATIENCE}
    with serving(tmp_path / "socket", **limits) as served, ExitStack() as stack:
        clients = [stack.enter_context(served.client()) for _ in range(8)]
        honest = stack.enter_context(served.client())
        request = encode_request(1, "append", [{"value": 1}])
        honest.socket.sendall(request[:10])
        poll = select.poll()
        for client in clients:
            poll.register(client.socket, select.POLLRDHUP)
            with suppress(OSError):
                client.socket.sendall(CLAIM + b"x" * 1_400_000)
        gone = 0
        while gone < 6:
            closed = poll.poll(PATIENCE * 1000)
            assert closed, "six of the eight are to go"
            for descriptor, _ in closed:
                poll.unregister(descriptor)
            gone += len(closed)
        honest.socket.sendall(request[10:])
        assert honest.response().result == [1], "whoever holds little does not pay for them"
        assert not poll.poll(0), "the other two are within the bound"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_closed_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "socket") as served:
        served.path.chmod(0o666)
        entry = os.open(served.path, os.O_PATH)
        code = (
            "import os, socket; s = socket.socket(socket.AF_UNIX); os.setresuid(65534, 65534, 65534);"
            f"s.connect('/proc/self/fd/{entry}'); print(s.recv(9))"
        )
        told = subprocess.run(
            [sys.executable, "-c", code], pass_fds=[entry], stdout=subprocess.PIPE, check=True, timeout=PATIENCE
        )
        os.close(entry)
        assert told.stdout == b"b''\n"
        with served.client() as honest:
            assert honest.call("append", value=1).result == [1]


def test_a_client_that_does_not_read_is_answered_no_further(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "socket", write_seconds=60.0) as served,
        served.client() as honest,
        served.client() as client,
    ):
        for _ in range(50):
            client.send("big", size=1_000_000)
        for value in range(20):
            assert honest.call("append", value=value).error is None
        assert served.answerer.made <= 2, "one that is being read, and one that waits for it"
        for _ in range(50):
            assert len(client.response().result) == 1_000_000
        assert served.answerer.made == 50


def test_waiting_requests_are_bounded_in_bytes(tmp_path: Path) -> None:
    with serving(tmp_path / "socket", waiting_bytes=50_000) as served, served.client() as client:
        told = []
        for _ in range(5):
            client.socket.sendall(encode_request(1, "wait", [{"gate": "g" * 20_000}]))
        for _ in range(3):
            told.append(client.response().error)
        assert all(text is not None and text.startswith("full: the requests that wait") for text in told)
        assert client.call("append", value=1).result == [1]


def test_subscriptions_are_bounded_in_bytes(tmp_path: Path) -> None:
    with serving(tmp_path / "socket", subscription_bytes=50_000) as served, served.client() as client:
        padding = "x" * 30_000
        assert client.call("subscribe", padding=padding).error is None
        error = client.call("subscribe", padding=padding).error
        assert error is not None
        assert error.startswith("full: the subscriptions")
        client.call("unsubscribe")
        assert client.call("subscribe", padding=padding).error is None


def test_a_long_refusal_is_cut(served: Served) -> None:
    with served.client() as client:
        error = client.call("refuse", size=500_000).error
        assert error is not None
        assert len(error) < 10_000
        assert error.startswith("invalid: x")
        assert error.endswith("did you mean y?")


def test_many_large_messages_are_decoded_one_at_a_time_and_hold_up_none(tmp_path: Path) -> None:
    intricate = encode_request(1, "append", [{"value": [{}] * 30_000}])
    with serving(tmp_path / "socket") as served, ExitStack() as stack:
        clients = [stack.enter_context(served.client()) for _ in range(8)]
        for client in clients:
            client.socket.sendall(intricate)
        with served.client() as honest:
            for value in range(20):
                assert honest.call("append", value=value).error is None
        for client in clients:
            assert client.response().error is None
        assert served.answerer.values.count([{}] * 30_000) == 8


def test_answers_that_were_waited_for_are_made_one_at_a_time(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "socket", write_seconds=60.0) as served,
        served.client() as other,
        served.client() as client,
    ):
        for _ in range(20):
            client.send("wait", gate="go", size=1_000_000)
        client.send("big", size=1_000_000)
        other.call("pass", gate="go is waited for")
        other.call("open", gate="go")
        for value in range(20):
            assert other.call("append", value=value).error is None
        assert served.answerer.made <= 2, "one that is being read, and one that waits for it"
        for _ in range(21):
            assert len(client.response().result) == 1_000_000
        assert served.answerer.made == 21


def test_what_was_refused_is_gone_when_it_is_answered(served: Served) -> None:
    gc.disable()  # what only the collector would free stays until it comes by
    try:
        with served.client() as client:
            for _ in range(5):
                assert client.call("refuse").error is not None
            client.call("append", value=1)
            assert [reference() for reference in served.answerer.refusals] == [None] * 5
    finally:
        gc.enable()


def test_a_large_message_that_waits_for_another_counts_no_more_than_its_bytes(tmp_path: Path) -> None:
    padding = [1] * 100_000  # takes 6.5 MB when it is decoded
    with (
        serving(tmp_path / "socket", held_bytes=10_000_000) as served,
        served.client() as first,
        served.client() as second,
        served.client() as other,
    ):
        first.send("change", gate="go", padding=padding)
        other.call("pass", gate="begun")
        second.send("change", gate="go", padding=padding)
        for value in range(1000):  # meanwhile it is read, a piece at a time
            other.call("append", value=value)
        other.call("open", gate="go")
        assert first.response().error is None
        assert second.response().error is None


def test_a_large_notification_is_freed_in_steps(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def counted(values: list[Any]) -> Iterator[None]:
        """The same, and counts the steps."""
        steps.append(0)
        for _ in let_go(values):
            steps[-1] += 1
            yield

    monkeypatch.setattr(session, "let_go", counted)
    with served.client() as client:
        client.socket.sendall(encode_notification("nobody_knows", [[[] for _ in range(30_000)]]))
        assert client.call("append", value=1).result == [1]
    assert len(steps) == 1
    assert steps[0] >= 7, "all at once would hold up everybody"


class Ring:
    """Refers to itself: the collector alone can free it."""

    def __init__(self) -> None:
        self.itself = self


def test_the_collector_works_while_a_large_message_is_answered_and_does_not_look_at_it(served: Served) -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    try:
        with served.client() as client, served.client() as other:
            client.send("change", gate="go", padding=[[]] * 30_000)
            other.call("pass", gate="begun")
            assert gc.isenabled()
            assert gc.get_freeze_count() - frozen > 29_000
            other.call("open", gate="go")
            assert client.response().error is None
    finally:
        gc.unfreeze()


def test_what_was_hidden_with_a_large_message_is_looked_at_in_the_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_THAW", 0.1)
    ring = weakref.ref(Ring())
    gc.freeze()
    try:
        with served.client() as client:
            for _ in range(2):  # not only for the first
                assert client.call("append", value=[[]] * 30_000).error is None
                deadline = time.monotonic() + 60
                while ring() is not None:
                    assert time.monotonic() < deadline
                    client.call("append", value=1)
                ring = weakref.ref(Ring())
                gc.freeze()
    finally:
        gc.unfreeze()


def test_each_client_reads_for_itself(served: Served) -> None:
    with served.client() as first, served.client() as second:
        one, other = first.call("asker").result, second.call("asker").result
        assert one != other
        assert first.call("asker").result == one


def _sessions() -> int:
    return sum(type(each) is Session for each in gc.get_objects())  # others' dead proxies are of no class


def test_clients_that_went_away_leave_nothing_to_the_collector(tmp_path: Path) -> None:
    gc.collect()
    before = _sessions()
    gc.disable()
    try:
        with serving(tmp_path / "socket", unfinished_seconds=0.3) as served:
            with served.client() as client:
                assert client.call("append", value=1).error is None
            with served.client() as client:  # what it has sent is malformed
                client.socket.sendall(b"\xc1")
                client.until_closed()
            with served.client() as client:  # it goes in the middle of a message
                client.socket.sendall(CLAIM + b"x" * 1000)
            with served.client() as client:  # it never ends a message
                client.socket.sendall(CLAIM)
                client.until_closed()
            with served.client() as client:
                assert client.call("refuse").error is not None
                assert client.call("subscribe").error is None
                for number in range(20):
                    client.send("wait", gate=str(number))
            begun = time.monotonic()
            while (left := _sessions()) > before and time.monotonic() - begun < PATIENCE:
                select.select([], [], [], 0.05)
            assert left <= before
    finally:
        gc.enable()
