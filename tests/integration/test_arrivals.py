"""Who is ready is told so, a few at each turn of the loop, and each in turn."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import ExitStack
from functools import partial

import anyio
import pytest

from rund.server.arrivals import Arrivals

pytestmark = pytest.mark.anyio
MANY = 40
A_TURN = 8


async def test_many_who_are_ready_at_once_have_their_turns_a_few_at_each() -> None:
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    turn, turns = 0, Counter[int]()
    seen: list[int] = []
    all_seen = anyio.Event()

    def count() -> None:
        nonlocal turn
        turn += 1
        if not all_seen.is_set():
            loop.call_soon(count)

    def see(number: int) -> None:  # reads nothing: all stay ready
        turns[turn] += 1
        seen.append(number)
        if len(seen) == 2 * MANY:
            all_seen.set()

    with ExitStack() as stack:
        readers = []
        for number in range(MANY):
            reader, writer = (stack.enter_context(each) for each in socket.socketpair())
            writer.send(b"x")
            readers.append(reader)
            arrivals.add(reader.fileno(), partial(see, number))
        count()
        await all_seen.wait()
        for reader in readers:
            arrivals.remove(reader.fileno())
    arrivals.close()
    assert max(turns.values()) <= A_TURN
    assert sorted(seen[:MANY]) == list(range(MANY)), "nobody has a second turn before all had one"


async def test_who_was_removed_by_another_in_the_same_turn_is_not_called() -> None:
    arrivals = Arrivals()
    called: list[int] = []
    done = anyio.Event()
    with ExitStack() as stack:
        sockets = []

        def call(number: int) -> None:
            called.append(number)
            for each in sockets:
                arrivals.remove(each.fileno())
            done.set()

        for number in range(3):
            reader, writer = (stack.enter_context(each) for each in socket.socketpair())
            writer.send(b"x")
            sockets.append(reader)
            arrivals.add(reader.fileno(), partial(call, number))
        await done.wait()
        await anyio.wait_all_tasks_blocked()
    arrivals.close()
    assert len(called) == 1
