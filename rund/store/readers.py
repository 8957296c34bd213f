"""The threads that read, as many as connections that they read with.

Rules:
- Whose turn it is is told by `rund.store.askers`.
- A read whose caller was cancelled is not begun; one that was begun ends by itself, and nobody hears of it.  Closing
  ends it: a listing of a million runs would hold up the end of the daemon.
- Threads are started when they are wanted, and can be; then they stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from rund.errors import InternalError
from rund.store.askers import Turns, Use, asker
from rund.threads import is_short_of_threads

T = TypeVar("T")
_RETRY: Final = 0.1  # seconds until the first thread is tried again, where it could not be started
_INTERRUPT: Final = 0.1  # seconds between two interruptions of a read: only what SQLite does just then is ended by one
_STOPPING: Final = "the daemon is stopping: try again when it has started"


class Closes(Protocol):
    """What a thread reads with."""

    def interrupt(self) -> None:
        """End what is being read with it; called by the loop."""

    def close(self) -> None:
        """Let go of it; called by the loop when its thread has ended."""


Means = TypeVar("Means", bound=Closes)


class _Asked:
    """One read, and who waits for it."""

    __slots__ = ("_error", "_result", "future", "query", "use")

    def __init__(self, query: Callable[[Any], Any], future: asyncio.Future[Any], use: Use | None) -> None:
        self.query = query
        self.future = future
        self.use = use
        self._result: Any = None
        self._error: BaseException | None = None

    def carry_out(self, read: Callable[[Callable[[Any], Any]], Any]) -> None:
        """Read, and keep what comes of it."""
        begun = time.thread_time()
        try:
            self._result = read(self.query)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and is raised there
            self._error = error
        if self.use is not None:
            self.use.add(time.thread_time() - begun, time.monotonic())

    def refuse(self, error: InternalError) -> None:
        """Have ``error`` come of it."""
        self._error = error

    def deliver(self) -> None:
        """Tell who waits, and let go of all."""
        future, error = self.future, self._error
        del self.future, self._error  # an error holds this, by the frames that it was raised through
        if future.cancelled():
            return
        if error is None:
            future.set_result(self._result)
        else:
            future.set_exception(error)


class Readers(Generic[Means]):
    """At most ``most`` threads, and as many of what they read with, opened by ``open_means`` when it is wanted.

    While ``may_open`` says no they share what has been opened.  Made in the event loop.
    """

    def __init__(
        self, open_means: Callable[[], Means], most: int, *, may_open: Callable[[], bool] = lambda: True
    ) -> None:
        self._open_means = open_means
        self._may_open = may_open
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._turns: Turns[_Asked] = Turns(max(most - 1, 1))
        # One for each read that waits, but for those that have been refused a turn; False: no more come.
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._unfinished = 0  # reads that wait or are carried out, as the loop knows
        self._means: list[Means] = []
        self._reading: dict[_Asked, Means] = {}
        self._idle: queue.LifoQueue[Means] = queue.LifoQueue()  # those of them that nobody reads with
        self._threads: list[threading.Thread] = []
        self._ended: list[asyncio.Future[None]] = []
        self._retries = False
        self._closed = False

    async def read(self, query: Callable[[Means], T]) -> T:
        """The answer of ``query``, carried out in a thread; raises what that raises, or ``open_means``."""
        if self._closed:
            raise InternalError(_STOPPING)
        future: asyncio.Future[T] = self._loop.create_future()
        asked = _Asked(query, future, asker.get())
        with self._lock:
            self._turns.add(asked.use, asked)
        self._unfinished += 1
        self._wakes.put(True)  # noqa: FBT003 - see where it is made
        if self._unfinished > len(self._threads) < self._most:
            self._start_thread()
        return await future

    async def close(self) -> None:
        """Refuse what waits, end what nobody waits for, and when all is read the threads and what they read with."""
        self._closed = True
        with self._lock:
            waiting = self._turns.clear()
        for asked in waiting:
            asked.refuse(InternalError(_STOPPING))
            self._deliver(asked)
        for _ in self._threads:
            self._wakes.put(False)  # noqa: FBT003
        while not all(ended.done() for ended in self._ended):
            self._interrupt_abandoned()
            await asyncio.wait(self._ended, timeout=_INTERRUPT)
        for thread in self._threads:
            thread.join()
        for means in self._means:
            means.close()

    def _interrupt_abandoned(self) -> None:
        with self._lock:
            abandoned = [means for asked, means in self._reading.items() if asked.future.cancelled()]
        for means in abandoned:
            means.interrupt()

    def _start_thread(self) -> None:
        ended: asyncio.Future[None] = self._loop.create_future()
        thread = threading.Thread(target=self._work, args=(ended,), name="rund-reader")
        try:
            thread.start()
        except RuntimeError as error:
            if not is_short_of_threads(error):
                raise
            if not self._threads and not self._retries:
                self._retries = True
                self._loop.call_later(_RETRY, self._start_again)
        else:
            self._threads.append(thread)
            self._ended.append(ended)

    def _start_again(self) -> None:
        self._retries = False
        if not self._threads and not self._closed:
            self._start_thread()

    def _work(self, ended: asyncio.Future[None]) -> None:
        while self._wakes.get():
            with self._lock:
                asked = self._turns.take()
            if asked is None:
                continue
            if not asked.future.cancelled():
                asked.carry_out(partial(self._with_means, asked))
            with self._lock:
                again = self._turns.end(asked.use)
            if again:
                self._wakes.put(True)  # noqa: FBT003
            self._in_loop(self._deliver, asked)
            del asked  # a large answer is not kept until the next comes
        self._in_loop(ended.set_result, None)

    def _in_loop(self, call: Callable[[T], object], value: T) -> None:
        with contextlib.suppress(RuntimeError):  # who closed it did not wait for this, and has closed the loop
            self._loop.call_soon_threadsafe(call, value)

    def _with_means(self, asked: _Asked, query: Callable[[Means], T]) -> T:
        means = self._take_means()
        with self._lock:
            self._reading[asked] = means
        try:
            return query(means)
        finally:
            with self._lock:
                del self._reading[asked]
            self._idle.put(means)

    def _take_means(self) -> Means:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        if self._means and not self._may_open():
            return self._idle.get()  # those that are there come back
        means = self._open_means()
        self._means.append(means)
        return means

    def _deliver(self, asked: _Asked) -> None:
        self._unfinished -= 1
        asked.deliver()
