"""What requests have done in threads before their change."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from rund.errors import InternalError
from rund.handlers import preparing as module
from rund.handlers.preparing import LONG, Preparing, open_preparing, prepare
from rund.server.arrivals import Arrivals
from rund.server.stream import Stream
from tests.integration.attempts import PATIENCE

pytestmark = pytest.mark.anyio
LARGE = 1_000_000


class FakePeer:
    """A client that stays until it is told to leave."""

    def __init__(self) -> None:
        self.left = False

    def has_left(self) -> bool:
        return self.left


class Hanging:
    """Work that hangs until it is let go."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._begun = threading.Semaphore(0)

    def work(self) -> str:
        self._begun.release()
        self._free.wait()
        return "went on"

    async def begun(self, times: int = 1) -> None:
        for _ in range(times):
            assert await anyio.to_thread.run_sync(partial(self._begun.acquire, timeout=PATIENCE))

    def is_idle(self) -> bool:
        """Whether nobody has begun since that was waited for."""
        return not self._begun.acquire(blocking=False)

    def let_go(self) -> None:
        self._free.set()


@asynccontextmanager
async def opened(hanging: Hanging) -> AsyncIterator[Preparing]:
    """What is tested, within the patience of a test; whatever hangs is let go at the end."""
    with anyio.fail_after(PATIENCE):
        async with open_preparing() as preparing:
            try:
                yield preparing
            finally:
                hanging.let_go()


async def ask(preparing: Preparing, peer: FakePeer, folder: str, hanging: Hanging, answers: list[str]) -> None:
    async with prepare(preparing, peer) as preparation:  # type: ignore[arg-type]  # it is asked for nothing else
        try:
            answers.append(await preparation.in_folder(folder, hanging.work))
        except InternalError as error:
            answers.append(error.message)


async def test_a_folder_that_hangs_takes_a_few_threads_and_holds_up_no_other_folder() -> None:
    hanging, answers = Hanging(), list[str]()
    async with opened(hanging) as preparing, anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(ask, preparing, FakePeer(), "/hangs", hanging, answers)
        await hanging.begun(8)
        async with prepare(preparing, FakePeer()) as preparation:  # type: ignore[arg-type]
            assert await preparation.in_folder("/other", lambda: "done") == "done"
        await anyio.wait_all_tasks_blocked()
        assert sum("AnyIO" in each.name for each in threading.enumerate()) < 20, "of all that wait, a few have threads"
        assert answers == []
        hanging.let_go()
    assert answers == ["went on"] * 40


async def test_a_request_whose_client_has_left_is_given_up_and_what_hangs_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    monkeypatch.setattr(module, "_LOOK", 0.01)
    hanging, answers, stays = Hanging(), list[str](), list[str]()
    peer = FakePeer()
    async with opened(hanging) as preparing, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, preparing, FakePeer(), "/hangs", hanging, stays)
        async with anyio.create_task_group() as leaving:
            for _ in range(20):
                leaving.start_soon(ask, preparing, peer, "/hangs", hanging, answers)
            await hanging.begun(8)
            peer.left = True
        assert answers == ["it was given up, for its client has left"] * 20
        late = list[str]()
        tasks.start_soon(ask, preparing, FakePeer(), "/hangs", hanging, late)
        await anyio.wait_all_tasks_blocked()
        assert (stays, late) == ([], [])
        hanging.let_go()
    assert (stays, late) == (["went on"], ["went on"]), "who stays has an answer, when there is one"


async def test_what_is_computed_long_holds_up_nothing_short() -> None:
    hanging = Hanging()
    async with opened(hanging) as preparing, anyio.create_task_group() as tasks:
        tasks.start_soon(preparing.compute, LONG + 1, hanging.work)
        await hanging.begun()
        assert await preparing.compute(LONG, lambda: "short") == "short"
        hanging.let_go()
    assert await anyio.to_thread.run_sync(lambda: True)


async def test_what_takes_much_memory_is_prepared_by_one_request_at_a_time() -> None:
    hanging, order = Hanging(), list[str]()

    async def large(name: str) -> None:
        async with prepare(preparing, FakePeer()) as preparation:  # type: ignore[arg-type]
            for work in (lambda: "", hanging.work, lambda: ""):
                await preparation.compute(LARGE, work)  # it still has what it has made
                order.append(name)

    async with opened(hanging) as preparing, anyio.create_task_group() as tasks:
        for name in ("first", "second", "third"):
            tasks.start_soon(large, name)
        await hanging.begun()
        assert len(set(order)) == 1
        hanging.let_go()
    assert [order[at] for at in (0, 3, 6)] == [order[at] for at in (2, 5, 8)]
    assert len(set(order)) == 3


async def test_a_folder_is_looked_at_once_and_before_much_memory_is_taken() -> None:
    hanging, answers = Hanging(), list[str]()

    async def hangs() -> None:
        async with prepare(preparing, FakePeer()) as preparation:  # type: ignore[arg-type]
            look = preparation.before_large(partial(preparation.in_folder, "/hangs", hanging.work))
            await preparation.compute(LONG, lambda: None)  # looks at nothing
            for _ in range(2):
                await preparation.compute(LARGE, lambda: None)
            answers.append(await look.get())

    async with opened(hanging) as preparing, anyio.create_task_group() as tasks:
        tasks.start_soon(hangs)
        await hanging.begun()
        async with prepare(preparing, FakePeer()) as preparation:  # type: ignore[arg-type]
            assert await preparation.compute(LARGE, lambda: "another's") == "another's"
        hanging.let_go()
    assert answers == ["went on"]
    assert hanging.is_idle(), "it was looked at once"


async def test_who_has_only_said_all_has_not_left() -> None:
    ours, theirs = socket.socketpair()
    arrivals = Arrivals()
    stream = Stream(ours, arrivals, write_seconds=1.0)
    try:
        assert not stream.has_left()
        theirs.sendall(b"more")
        theirs.shutdown(socket.SHUT_WR)
        assert not stream.has_left()
        theirs.close()
        assert stream.has_left()
    finally:
        stream.close()
        arrivals.close()
        theirs.close()
