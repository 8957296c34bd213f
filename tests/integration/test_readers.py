"""The threads that read: as many as are wanted, whose turn it is, and what is left of who went away."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from rund.errors import InternalError, InvalidError
from rund.store.askers import Use, asker
from rund.store.connection import open_reader
from rund.store.directories import Directories
from rund.store.reader import Reader
from rund.store.readers import Readers

pytestmark = pytest.mark.anyio


class Means:
    """What a thread reads with."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.closed = False

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def readers(most: int) -> AsyncIterator[Readers[Means]]:
    Means.made = 0
    readers = Readers(Means, most)
    try:
        yield readers
    finally:
        await readers.close()


class Hold:
    """Keeps a thread busy until it is let go."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()

    def __call__(self, _: Means) -> None:
        self._loop.call_soon_threadsafe(self.begun.set)
        self._go.wait()

    def let_go(self) -> None:
        self._go.set()


async def test_who_has_used_little_is_not_held_up_by_all_that_another_asks() -> None:
    order: list[str] = []
    heavy = Use(time.monotonic())
    heavy.add(1.0, time.monotonic())

    async def read(use: Use | None, name: str) -> None:
        asker.set(use)
        await readers_.read(lambda _: order.append(name))

    async with readers(1) as readers_:
        hold = Hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers_.read, hold)
            await hold.begun.wait()
            for _ in range(100):
                tasks.start_soon(read, heavy, "heavy")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(read, Use(time.monotonic()), "light")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(read, None, "own")
            await anyio.wait_all_tasks_blocked()
            hold.let_go()
    assert order[:2] == ["own", "light"]
    assert order[2:] == ["heavy"] * 100


async def test_one_asker_does_not_hold_all_threads() -> None:
    done: list[str] = []
    greedy = Use(time.monotonic())

    async def read(use: Use | None, query: Callable[[Means], object]) -> None:
        asker.set(use)
        await readers_.read(query)

    async with readers(3) as readers_:
        holds = [Hold() for _ in range(5)]
        async with anyio.create_task_group() as tasks:
            for hold in holds:
                tasks.start_soon(read, greedy, hold)
            for hold in holds[:2]:
                await hold.begun.wait()
            for number in range(3):  # each has its turn, though the others of the greedy one do not end
                await read(Use(time.monotonic()), lambda _, number=number: done.append(f"honest {number}"))
                await read(None, lambda _, number=number: done.append(f"own {number}"))
            assert not holds[2].begun.is_set()
            for hold, next_one in zip(holds, holds[2:], strict=False):
                hold.let_go()
                await next_one.begun.wait()
            for hold in holds:
                hold.let_go()
    assert done == [f"{who} {number}" for number in range(3) for who in ("honest", "own")]


async def test_what_a_read_has_used_is_counted_for_its_asker() -> None:
    use = Use(time.monotonic())
    before = use.rank
    asker.set(use)
    try:
        async with readers(1) as readers_:
            assert await readers_.read(lambda _: sum(range(1_000_000))) == 499_999_500_000
    finally:
        asker.set(None)
    assert use.rank > before


async def test_a_read_whose_caller_was_cancelled_is_not_begun() -> None:
    done: list[str] = []
    async with readers(1) as readers_:
        hold = Hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers_.read, hold)
            await hold.begun.wait()
            async with anyio.create_task_group() as given_up:
                given_up.start_soon(readers_.read, lambda _: done.append("given up"))
                await anyio.wait_all_tasks_blocked()
                given_up.cancel_scope.cancel()
            hold.let_go()
        await readers_.read(lambda _: done.append("asked after it"))
    assert done == ["asked after it"]


async def test_as_many_read_at_once_as_may_and_each_has_its_own_means() -> None:
    async with readers(3) as readers_:
        await readers_.read(lambda _: None)
        await readers_.read(lambda _: None)
        assert Means.made == 1
        async with anyio.create_task_group() as tasks:
            holds = [Hold() for _ in range(3)]
            for hold in holds:
                tasks.start_soon(readers_.read, hold)
            for hold in holds:
                await hold.begun.wait()  # three at once
            assert Means.made == 3
            for hold in holds:
                hold.let_go()


async def test_while_none_may_be_opened_those_that_are_there_are_shared() -> None:
    Means.made = 0
    may = True
    readers_ = Readers(Means, 3, may_open=lambda: may)
    await readers_.read(lambda _: None)
    may = False
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(readers_.read, lambda _: None)
    assert Means.made == 1
    await readers_.close()


async def test_what_a_read_raises_is_raised_and_leaves_nothing_to_the_collector() -> None:
    errors: list[weakref.ref[InvalidError]] = []

    def refuse(_: Means) -> None:
        error = InvalidError("no such run")
        errors.append(weakref.ref(error))
        raise error

    async with readers(1) as readers_:
        gc.disable()
        try:
            for _ in range(3):
                with pytest.raises(InvalidError, match="no such run") as raised:
                    await readers_.read(refuse)
                raised.value.__traceback__ = None
                del raised
            await readers_.read(lambda _: None)
            assert [error() for error in errors] == [None] * 3
        finally:
            gc.enable()


async def test_means_that_cannot_be_had_are_told_and_tried_again() -> None:
    faults = [OSError("the disk fails")]

    def means() -> Means:
        if faults:
            raise faults.pop()
        return Means()

    readers_ = Readers(means, 1)
    with pytest.raises(OSError, match="the disk fails"):
        await readers_.read(lambda _: None)
    assert await readers_.read(lambda _: 1) == 1
    await readers_.close()


async def test_without_a_thread_reads_wait_until_one_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Thread.start
    left = [2]

    def start(thread: threading.Thread) -> None:
        if left[0] and thread.name == "rund-reader":
            left[0] -= 1
            raise RuntimeError("can't start new thread")
        started(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    async with readers(2) as readers_:
        assert await readers_.read(lambda _: 1) == 1
    assert left == [0]


async def test_closed_it_reads_nothing_more_and_has_closed_its_means() -> None:
    readers_ = Readers(Means, 2)
    means = await readers_.read(lambda means: means)
    await readers_.close()
    assert means.closed
    with pytest.raises(InternalError, match="stopping"):
        await readers_.read(lambda _: None)


async def test_closing_refuses_what_waits_and_waits_for_what_is_read_for_somebody() -> None:
    readers_ = Readers(Means, 1)
    outcome: list[object] = []

    async def read(query: Callable[[Means], object]) -> None:
        try:
            outcome.append(await readers_.read(query))
        except InternalError as error:
            outcome.append(error.message)

    async with anyio.create_task_group() as tasks:
        hold = Hold()
        tasks.start_soon(read, hold)
        await hold.begun.wait()
        tasks.start_soon(read, lambda _: "too late")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(readers_.close)
        await anyio.wait_all_tasks_blocked()
        assert outcome == ["the daemon is stopping: try again when it has started"]
        hold.let_go()
    assert outcome[1:] == [None]


async def test_closing_ends_a_read_that_nobody_waits_for(directories: Directories) -> None:
    readers_ = Readers(lambda: Reader(open_reader(directories.database)), 2)
    begun = anyio.Event()
    loop = asyncio.get_running_loop()
    errors: list[sqlite3.Error] = []

    def endless(reader: Reader) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            reader.connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
            ).fetchone()
        except sqlite3.Error as error:
            errors.append(error)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(readers_.read, endless)
        await begun.wait()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(60):
        await readers_.close()
    assert [error.sqlite_errorcode for error in errors] == [sqlite3.SQLITE_INTERRUPT]
