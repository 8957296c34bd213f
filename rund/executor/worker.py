"""One thread for short work that may block: cheaper than anyio's threads where it is asked for all the time."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class Worker:
    """A thread that does one piece of work after the other, from `start` to `close`."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def do(self, work: Callable[[], T]) -> T:
        """What ``work`` answers or raises; it is carried out, and waited for, also if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def carry_out() -> None:
            try:
                deliver: Callable[..., None] = future.set_result
                outcome: Any = work()
            except BaseException as error:  # noqa: BLE001 - it is the caller's, and is raised there
                deliver, outcome = future.set_exception, error
            loop.call_soon_threadsafe(deliver, outcome)

        self._queue.put(carry_out)
        with anyio.CancelScope(shield=True):
            await future
        return future.result()

    def close(self) -> None:
        """End the thread when it has done what it was asked for; without waiting for that."""
        self._queue.put(None)

    def _run(self) -> None:
        while (carry_out := self._queue.get()) is not None:
            carry_out()
