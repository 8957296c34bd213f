"""What requests have done before their change: folders of their clients are read, and values computed, in threads.

Rules:

- A folder may hang, as that of a disk that is out of reach does: what is done there has threads of its own, `_HANGING`
  for each folder, and waits for no other folder.
- What takes long to compute is done one after the other, beside what takes little; whose turn it is is told by
  `rund.store.askers`.  What takes much memory is prepared and committed by one request at a time, which has done by
  then what it does in folders: `Preparation.before_large`.
- Nothing is changed before all is prepared.  So a request is given up if its client has left after `_PATIENCE` seconds,
  or when the daemon ends; what hangs is left to itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, Generic, TypeVar, TypeVarTuple

import anyio
import anyio.abc

from rund.errors import InternalError
from rund.handlers.peer import Peer
from rund.store.readers import Readers
from rund.threads import in_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
LONG: Final = 20_000  # values to read or make: what is more takes longer than others should wait
LARGE: Final = 200_000  # values: what is more takes memory, until it is committed, as only one request may
_HANGING: Final = 8  # threads in one folder
_MOST: Final = 256  # threads in all folders
_PATIENCE: Final = 10.0  # seconds
_ENDING: Final = 0.5  # seconds for threads that have nothing to do to end
_LOOK: Final = 1.0  # seconds between looks whether the client has left, from then on

_log = logging.getLogger(__name__)


class _Nothing:
    """What those read with who compute."""

    def interrupt(self) -> None:
        """Nothing is held up by what nobody waits for but its thread."""

    def close(self) -> None:
        """There is nothing to let go of."""


class Preparing:
    """The threads, which `open_preparing` opens."""

    def __init__(self, tasks: anyio.abc.TaskGroup, short: Readers[_Nothing], long: Readers[_Nothing]) -> None:
        self.large = anyio.Lock()
        self.scopes: set[anyio.CancelScope] = set()  # in each a request is prepared
        self.ends = False
        self._tasks = tasks
        self._short = short
        self._long = long
        self._folders: dict[str, anyio.CapacityLimiter] = {}
        self._all = anyio.CapacityLimiter(_MOST)
        self._unbounded = anyio.CapacityLimiter(math.inf)

    def end(self) -> None:
        """Give up all that is being prepared, for the daemon ends."""
        self.ends = True
        for scope in self.scopes:
            scope.cancel()

    async def in_folder(self, folder: str, work: Callable[[], T]) -> T:
        """The answer of ``work``; when nobody waits for it any more, its thread still has its place in ``folder``."""
        limiter = self._folders.setdefault(folder, anyio.CapacityLimiter(_HANGING))
        async with contextlib.AsyncExitStack() as places:
            places.callback(self._forget, folder)
            for each in (limiter, self._all):
                place = object()
                await each.acquire_on_behalf_of(place)
                places.callback(each.release_on_behalf_of, place)
            future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._tasks.start_soon(self._carry_out, work, future, places.pop_all())
        return await future

    async def compute(self, values: int, work: Callable[[], T]) -> T:
        """The answer of ``work``, which is about as much as to read or make so many values."""
        readers = self._short if values <= LONG else self._long
        return await readers.read(lambda _: work())

    async def _carry_out(
        self, work: Callable[[], T], future: asyncio.Future[T], places: contextlib.AsyncExitStack
    ) -> None:
        async with places:
            try:
                result = await in_thread(work, limiter=self._unbounded, abandon_on_cancel=True)
            except Exception as error:  # noqa: BLE001 - it is the caller's, and is raised there
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

    def _forget(self, folder: str) -> None:
        limiter = self._folders.get(folder)
        if limiter is not None:
            used = limiter.statistics()
            if not used.borrowed_tokens and not used.tasks_waiting:
                del self._folders[folder]


def room(values: int) -> float:
    """How many values there may turn out to be of what was said to be so many; more are to be said anew."""
    return next((bound for bound in (LONG, LARGE) if values <= bound), math.inf)


@contextlib.asynccontextmanager
async def open_preparing() -> AsyncIterator[Preparing]:
    """The threads, for one event loop; what hangs is left behind at the end."""
    async with contextlib.AsyncExitStack() as stack:
        lanes = []
        for _ in ("short", "long"):
            readers = Readers(_Nothing, 1)
            stack.push_async_callback(_close, readers)
            lanes.append(readers)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        yield Preparing(tasks, *lanes)
        tasks.cancel_scope.cancel()


async def _close(readers: Readers[_Nothing]) -> None:
    with anyio.move_on_after(_ENDING):  # what is computed for nobody is not waited for
        await readers.close()


class Once(Generic[T]):
    """Work that is done once for its request, if it is wanted at all."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self.answer: T | None = None  # None: it was not done

    async def get(self) -> T:
        """Its answer, which is not None."""
        if self.answer is None:
            self.answer = await self._work()
        return self.answer


class Preparation:
    """What one request has done, whose client is ``peer``."""

    def __init__(self, preparing: Preparing, peer: Peer) -> None:
        self._preparing = preparing
        self._peer = peer
        self._is_large = False
        self._before_large: list[Callable[[], Awaitable[object]]] = []

    def before_large(self, work: Callable[[], Awaitable[T]]) -> Once[T]:
        """``work``, which is done once: when it is asked for, or before much memory is taken, for a folder may hang."""
        once = Once(work)
        self._before_large.append(once.get)
        return once

    async def in_folder(self, folder: str, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """The answer of ``function``, which looks at files of a client that stands in ``folder``.

        Raises `InternalError` if it was given up.
        """
        return await self._unless_left(self._preparing.in_folder(folder, partial(function, *args)))

    async def compute(self, values: int, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """The answer of ``function``, which reads or makes about so many values.

        Raises `InternalError` if it was given up.
        """
        if values > LARGE and not self._is_large:
            for each in self._before_large:
                await each()
            await self._unless_left(self._preparing.large.acquire())
            self._is_large = True
        return await self._unless_left(self._preparing.compute(values, partial(function, *args)))

    def close(self) -> None:
        """What was prepared is committed, or given up."""
        if self._is_large:
            self._is_large = False
            self._preparing.large.release()

    async def _unless_left(self, work: Awaitable[T]) -> T:
        with anyio.CancelScope() as scope:
            watch = _Watch(self._peer, scope)
            self._preparing.scopes.add(scope)
            if self._preparing.ends:
                scope.cancel()
            try:
                return await work
            finally:
                self._preparing.scopes.discard(scope)
                watch.end()
        if self._preparing.ends:
            raise InternalError("the daemon is about to stop, and nothing was changed: ask again")
        _log.info("a request was given up, for its client left before it was prepared")
        raise InternalError("it was given up, for its client has left")


class _Watch:
    """Cancels ``scope`` when ``peer`` has left, and has had its time."""

    def __init__(self, peer: Peer, scope: anyio.CancelScope) -> None:
        self._peer = peer
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_PATIENCE, self._look)

    def end(self) -> None:
        """Watch no more."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._peer.has_left():
            self._scope.cancel()
        else:
            self._timer = self._loop.call_later(_LOOK, self._look)


@contextlib.asynccontextmanager
async def prepare(preparing: Preparing, peer: Peer) -> AsyncIterator[Preparation]:
    """The preparation of one request, within which its change is committed as well."""
    preparation = Preparation(preparing, peer)
    try:
        yield preparation
    finally:
        preparation.close()
