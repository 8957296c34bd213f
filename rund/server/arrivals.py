"""Tells clients' streams that there is something to read: to a few at each turn of the event loop.

The loop by itself would call all that are ready in one turn, three hundred that went away together, say, and whoever
waits for an answer that is made meanwhile would wait for the end of that turn.  The system has a queue of those that
are ready, and puts who is still ready at its end: so each has its turn, and a turn is short.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

_A_TURN = 8  # clients


class Arrivals:
    """The descriptors that are looked at.  It is made, used and closed in the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._loop.add_reader(self._ready.fileno(), self._look)

    def add(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call ``call`` whenever there is something to read, until `remove`."""
        self._ready.register(descriptor, select.EPOLLIN)
        self._calls[descriptor] = call

    def remove(self, descriptor: int) -> None:
        """Look at it no more; before it is closed."""
        del self._calls[descriptor]
        self._ready.unregister(descriptor)

    def close(self) -> None:
        """Look at nothing any more."""
        self._loop.remove_reader(self._ready.fileno())
        self._ready.close()

    def _look(self) -> None:
        for descriptor, _ in self._ready.poll(0, _A_TURN):
            call = self._calls.get(descriptor)
            if call is not None:  # the one before may have removed it
                call()
