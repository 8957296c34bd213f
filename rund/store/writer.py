"""The one thread that writes, and groups what is asked of it into few commits.

Rules:

- Each change sees all changes before it, and is committed whole or not at all.
- A change is answered only after its commit; one that raises changes nothing, and the others of its group stand.
- Changes are answered in the order in which they were carried out: what a later answer tells of the store is newer.
- A change is never abandoned because its caller was cancelled.
- While not everything can be written, the thread looks again each second whether it can, and rings when it can.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from rund.errors import InternalError
from rund.store.committing import Asked, Committer
from rund.store.directories import Directories
from rund.store.files import StoreFiles
from rund.store.reserve import Reserve
from rund.store.transaction import Transaction

T = TypeVar("T")
Change = Callable[[Transaction], T]
GROUP: Final = 256
_LOOK_AGAIN: Final = 1.0  # seconds
_DELIVERED: Final = 8  # answers at one turn of the loop


class Writer:
    """The writing thread of a home's database; ``committed`` is called in the loop after each commit."""

    def __init__(
        self, directories: Directories, reserve: Reserve, files: StoreFiles, committed: Callable[[], None]
    ) -> None:
        self._committer = Committer(directories, reserve, files)
        self._committed = committed
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._carried_out: deque[Asked] = deque()  # and not answered yet; for the loop alone
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="rund-writer")
        self._closed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def fault(self) -> str | None:
        """Why not everything can be written now; None if it can."""
        return self._committer.fault

    @property
    def stops(self) -> int:
        """How often a run that is being stopped has been written and committed."""
        return self._committer.stops

    async def write(self, change: Change[T], *, urgent: bool = False) -> T:
        """Carry out ``change`` in a transaction; answers its result after the commit.

        ``urgent``: it ends or frees something, and is written on a full disk too, as long as the reserve lasts.
        Raises what ``change`` raises; `FullError` if the disk is full, and nothing of it is there then; `InternalError`
        if the disk fails or the database is gone, which says whether it is certain that nothing was changed.
        """
        if self._closed:
            raise InternalError("the daemon is stopping: try again when it has started")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Asked(change, future, urgent=urgent))
        return await future

    def work(self) -> float:
        """Seconds of a processor that the thread has used so far."""
        ident = self._thread.ident
        return time.clock_gettime(time.pthread_getcpuclockid(ident)) if ident and self._thread.is_alive() else 0.0

    async def close(self) -> None:
        """Carry out what has been asked so far, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.shield(self._ended)
            self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            group, last = self._take()
            changed = self._committer.carry_out(group) if group or last else self._committer.look_again()
            self._loop.call_soon_threadsafe(self._deliver, group, changed)
            del group  # with all that the changes refer to: the next may be long in coming
            self._committer.copy_log()  # after the answers: it may take a while
        self._committer.close()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _take(self) -> tuple[list[Asked], bool]:
        """All changes that wait, none if it is time to look again; and whether they are the last."""
        group: list[Asked] = []
        try:
            asked = self._queue.get(timeout=_LOOK_AGAIN if self.fault else None)
        except queue.Empty:
            return group, False
        while asked is not None:
            group.append(asked)
            if len(group) == GROUP or self._queue.empty():
                return group, False
            asked = self._queue.get()
        return group, True

    def _deliver(self, group: list[Asked], changed: bool) -> None:  # noqa: FBT001 - called by the loop
        if changed:
            self._committed()
        is_delivering = bool(self._carried_out)
        self._carried_out += group
        if not is_delivering:
            self._deliver_some()

    def _deliver_some(self) -> None:
        """A few at each turn of the loop: who waits for something else finds it held up for no longer."""
        try:
            for _ in range(min(_DELIVERED, len(self._carried_out))):
                self._carried_out.popleft().deliver()
        finally:  # an error that no future takes, a StopIteration, is not to keep the others from their answers
            if self._carried_out:
                self._loop.call_soon(self._deliver_some)
