"""What is held for clients is counted, and only who holds most pays when it is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import FullError
from rund.server.account import Held, Ledger

MOST = 1000
CHANGES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Held)), st.integers(0, 400)), max_size=60)


class Client:
    """Knows what it holds, and whether it was dropped."""

    def __init__(self, ledger: Ledger) -> None:
        self.dropped: FullError | None = None
        self.account = ledger.open(self.drop)

    def drop(self, error: FullError) -> None:
        assert self.dropped is None, "dropped twice"
        self.dropped = error


@given(changes=CHANGES)
def test_the_sum_is_bounded_and_whoever_holds_most_is_dropped(changes: list[tuple[int, Held, int]]) -> None:
    ledger = Ledger(MOST, {})
    clients = [Client(ledger) for _ in range(5)]
    for number, kind, size in changes:
        before = {client: client.account.held for client in clients if client.dropped is None}
        account = clients[number].account
        account.set(kind, size)
        held = {client: before[client] if client is not clients[number] else account.held for client in before}
        lost = [client for client in before if client.dropped is not None]
        assert len(lost) <= 1
        if sum(held.values()) <= MOST:
            assert not lost
        for client in lost:
            assert held[client] == max(held.values())
        assert ledger.held == sum(client.account.held for client in clients if client.dropped is None) <= MOST


def test_one_kind_is_bounded_for_each_client_and_what_is_refused_is_not_counted() -> None:
    ledger = Ledger(MOST, {Held.WAITING: 100})
    account, other = Client(ledger).account, Client(ledger).account
    account.hold(Held.WAITING, 60)
    with pytest.raises(FullError, match="60 bytes, and may hold 100"):
        account.hold(Held.WAITING, 41)
    account.hold(Held.WAITING, 40)
    account.hold(Held.SUBSCRIBED, 500)
    other.hold(Held.WAITING, 100)
    assert ledger.held == 700
    account.release(Held.WAITING, 60)
    with account.holding(Held.WAITING, 60):
        assert account.of(Held.WAITING) == 100
    assert (account.of(Held.WAITING), account.held) == (40, 540)


def test_a_client_that_is_gone_holds_nothing() -> None:
    ledger = Ledger(MOST, {})
    gone = Client(ledger)
    gone.account.hold(Held.UNREAD, 900)
    gone.account.close()
    gone.account.close()
    gone.account.release(Held.UNREAD, 900)
    assert ledger.held == 0
    stays = Client(ledger)
    stays.account.hold(Held.UNREAD, 900)
    assert stays.dropped is None


def test_a_client_that_is_dropped_is_told_what_it_held() -> None:
    ledger = Ledger(MOST, {})
    client, light = Client(ledger), Client(ledger)
    light.account.hold(Held.UNFINISHED, 10)
    client.account.hold(Held.UNREAD, 995)
    assert client.dropped is not None
    assert "995 bytes of answers that it has not read" in client.dropped.message
    assert light.dropped is None
