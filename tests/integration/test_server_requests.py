"""What one client may rely on: order, waiting beside others, answers to faults, streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rund.protocol import Notification, encode_notification, encode_request, pack
from tests.integration.serving import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "socket", in_flight=4, streams=2, reply_bytes=4_000_000) as served:
        yield served


def test_pipelined_requests_take_effect_in_the_order_sent(served: Served) -> None:
    with served.client() as client:
        turns = [5, 0, 3, 0, 1, 0] * 50
        client.socket.sendall(
            b"".join(encode_request(n, "append", [{"value": n, "turns": turn}]) for n, turn in enumerate(turns))
        )
        answers = [client.response() for _ in turns]
    assert [answer.msgid for answer in answers] == list(range(len(turns)))
    assert served.answerer.values == list(range(len(turns)))


def test_a_request_that_comes_byte_by_byte_is_answered(served: Served) -> None:
    with served.client() as client:
        for byte in encode_request(1, "append", [{"value": 1}]):
            client.socket.sendall(bytes([byte]))
        assert client.response().result == [1]


def test_a_request_that_waits_holds_up_none(served: Served) -> None:
    with served.client() as client:
        waiting = client.send("wait", gate="a")
        assert client.call("append", value=1).result == [1]
        opening = client.send("open", gate="a")
        assert {client.response().msgid for _ in range(2)} == {waiting, opening}


def test_one_client_that_is_answered_late_holds_up_no_other(served: Served) -> None:
    with served.client() as slow, served.client() as other:
        slow.send("pass", gate="a")
        assert other.call("append", value=1).result == [1]
        other.call("open", gate="a")
        assert slow.response().result == "a"


def test_more_waiting_requests_than_may_be_are_refused_and_the_others_answered(served: Served) -> None:
    with served.client() as client:
        for _ in range(4):
            client.send("wait", gate="a")
        assert client.call("wait", gate="a").error.startswith("full: ")
        client.send("open", gate="a")
        assert [client.response().error for _ in range(5)] == [None] * 5
        client.call("open", gate="b")
        assert client.call("wait", gate="b").error is None


def test_an_error_is_told_as_its_code_and_message(served: Served) -> None:
    with served.client() as client:
        assert client.call("refuse").error == "invalid: x: no such flag; did you mean y?"


@pytest.mark.parametrize("method", ["fault", "odd"])
def test_a_fault_of_the_daemon_is_logged_and_told_without_details(
    served: Served, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served.client() as client:
        answer = client.call(method)
        assert answer.error.startswith("internal: ")
        assert "secret" not in answer.error
        assert "object" not in answer.error
        assert client.call("append", value=1).result == [1]
    assert caplog.records[0].exc_info is not None


def test_an_answer_that_is_too_large_becomes_an_error(served: Served) -> None:
    with served.client() as client:
        assert client.call("big", size=3_999_000).error is None
        assert client.call("big", size=4_000_000).error.startswith("internal: ")


def test_unknown_notifications_are_ignored(served: Served) -> None:
    with served.client() as client:
        client.socket.sendall(encode_notification("nobody_knows", [1]))
        assert client.call("append", value=1).result == [1]


def test_what_was_received_before_the_end_of_the_stream_is_answered(served: Served) -> None:
    with served.client() as client:
        for value in range(3):
            client.send("append", value=value, turns=3)
        client.socket.shutdown(1)
        assert [message.result for message in client.until_closed()] == [[0], [0, 1], [0, 1, 2]]


def test_waiting_requests_end_with_the_client(served: Served) -> None:
    with served.client() as other:
        with served.client() as client:
            client.send("wait", gate="never")
            other.call("pass", gate="never is waited for")
        other.call("pass", gate="never has ended")
    assert served.answerer.ended == ["never"]


def test_a_change_that_was_begun_is_finished_when_its_client_vanishes(served: Served) -> None:
    with served.client() as other:
        with served.client() as client:
            # The stream finds out that the client is gone while the change goes on.  All at once: once what it sends
            # fills the socket, this client, which does not read, is answered no further.
            client.socket.sendall(
                encode_request(1, "wait", [{"gate": "never"}])
                + encode_request(2, "subscribe", [{"size": 100_000}])
                + encode_request(3, "change", [{"gate": "go on"}])
            )
            other.call("pass", gate="begun")
        other.call("pass", gate="never has ended")
        assert served.answerer.values == ["begun"]
        other.call("open", gate="go on")
        other.call("pass", gate="done")
    assert served.answerer.values == ["begun", "done"]


@pytest.mark.parametrize("values", [0, 30_000], ids=["small", "large"])
def test_a_change_that_was_begun_is_finished_when_the_server_is_cancelled(tmp_path: Path, values: int) -> None:
    with serving(tmp_path / "other") as served, served.client() as client, served.client() as other:
        client.send("change", gate="go on", padding=[[]] * values)
        other.call("pass", gate="begun")
        served.cancel()
        assert other.until_closed() == []
        served.open("go on")
        assert client.until_closed()[0].error is None
    assert served.answerer.values == ["begun", "done"]


def test_a_subscription_sends_notifications_after_its_answer(served: Served) -> None:
    with served.client() as client:
        assert client.call("subscribe").result == 1
        assert client.notifications == []
        events = [client.message() for _ in range(3)]
        assert [event.params[0] for event in events if isinstance(event, Notification)] == [1, 2, 3]


def test_a_subscription_that_is_ended_in_the_middle_of_a_notification_cuts_none(served: Served) -> None:
    with served.client() as client:
        number = client.call("subscribe", size=1_000_000).result
        assert client.call("unsubscribe", number=number).result == 1
        assert client.call("append", value=1).result == [1]
        assert all(len(event.params[1]) == 1_000_000 for event in client.notifications)
        assert client.call("unsubscribe", number=number).result == 0


def test_more_subscriptions_than_may_be_are_refused(served: Served) -> None:
    with served.client() as client:
        client.call("subscribe")
        client.call("subscribe")
        assert client.call("subscribe").error.startswith("full: ")
        assert client.call("unsubscribe").result == 2
        assert client.call("subscribe").error is None


def test_subscriptions_end_with_the_client(served: Served) -> None:
    with served.client() as other:
        with served.client() as client:
            client.call("subscribe")
        other.call("pass", gate="stream has ended")
    assert served.answerer.ended == ["stream"]


def test_a_subscription_that_fails_closes_its_connection(served: Served) -> None:
    with served.client() as client, served.client() as other:
        client.call("subscribe", faulty=True)
        assert client.until_closed() == []
        assert other.call("append", value=1).result == [1]


def test_a_subscription_that_cannot_go_on_says_why_and_closes_its_connection(served: Served) -> None:
    with served.client() as client:
        client.call("subscribe", refused=True)
        (notification,) = client.until_closed()
        assert isinstance(notification, Notification)
        assert (notification.method, notification.params) == ("error", ["full: no room for a stream"])


def test_a_kept_answer_is_given_at_once_under_the_msgid_of_its_request(served: Served) -> None:
    with served.client() as client:
        request = encode_request(1, "nobody answers this", [])
        served.answerer.remembered[request[3:]] = pack({"kept": True})
        for number in (1, 70_000):
            client.socket.sendall(encode_request(number, "nobody answers this", []))
            response = client.response()
            assert (response.msgid, response.error, response.result) == (number, None, {"kept": True})
