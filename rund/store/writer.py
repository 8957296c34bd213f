"""The one thread that writes, and groups what is asked of it into few commits.

Rules:

- Each change sees all changes before it, and is committed whole or not at all.
- A change is answered only after its commit; one that raises changes nothing, and the others of its group stand.
- A change is never abandoned because its caller was cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from rund.clock import now
from rund.errors import FullError, InternalError, RundError
from rund.store.connection import open_writer
from rund.store.transaction import Transaction

T = TypeVar("T")
Change = Callable[[Transaction], T]
GROUP: Final = 256

_log = logging.getLogger(__name__)


class _Asked:
    """One change, and who waits for its outcome."""

    __slots__ = ("change", "error", "future", "result")

    def __init__(self, change: Change[Any], future: asyncio.Future[Any]) -> None:
        self.change = change
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """The writing thread of the database at ``path``; ``committed`` is called in the loop after each commit."""

    def __init__(self, path: Path, committed: Callable[[], None]) -> None:
        self._path = path
        self._committed = committed
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="rund-writer")
        self._closed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def write(self, change: Change[T]) -> T:
        """Carry out ``change`` in a transaction; answers its result after the commit.

        Raises what ``change`` raises, and `FullError` if the disk is full; then nothing of it is there.
        """
        if self._closed:
            raise InternalError("the daemon is stopping: try again when it has started")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Asked(change, future))
        return await future

    async def close(self) -> None:
        """Carry out what has been asked so far, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        transaction: Transaction | None = None
        last = False
        while not last:
            group, last = self._take()
            if not group:
                continue
            changed = False
            try:
                transaction = transaction or Transaction(open_writer(self._path))
                changed = _carry_out(transaction, group)
            except Exception as error:  # noqa: BLE001 - logged, told, and nobody waits for ever
                # Not even a roll-back was possible: the connection is given up, and the next group has a new one.
                _log.exception("the store could not be written")
                for asked in group:
                    asked.error = asked.error or InternalError(f"the store could not be written ({error})")
                _give_up(transaction)
                transaction = None
            self._loop.call_soon_threadsafe(self._deliver, group, changed)
        _give_up(transaction)

    def _take(self) -> tuple[list[_Asked], bool]:
        """All changes that wait, at least one; and whether they are the last."""
        group: list[_Asked] = []
        asked = self._queue.get()
        while asked is not None:
            group.append(asked)
            if len(group) == GROUP or self._queue.empty():
                return group, False
            asked = self._queue.get()
        return group, True

    def _deliver(self, group: list[_Asked], changed: bool) -> None:  # noqa: FBT001 - called by the loop
        if changed:
            self._committed()
        for asked in group:
            asked.deliver()


def _give_up(transaction: Transaction | None) -> None:
    if transaction is not None:
        try:
            transaction.connection.close()
        except sqlite3.Error:
            _log.exception("the connection could not be closed")


def _carry_out(transaction: Transaction, group: list[_Asked]) -> bool:
    """Carry out a group in one commit; where that cannot be, each alone, so that one does not spoil the others.

    Answers whether anything has changed.
    """
    before = transaction.connection.total_changes
    try:
        _attempt(transaction, group)
    except (sqlite3.Error, OSError) as error:
        _roll_back(transaction)
        if len(group) == 1:
            group[0].error = _translated(error)
            return False
        for asked in group:
            asked.result = asked.error = None
            _carry_out(transaction, [asked])
    return transaction.connection.total_changes > before


def _attempt(transaction: Transaction, group: list[_Asked]) -> None:
    connection = transaction.connection
    connection.execute("BEGIN IMMEDIATE")
    for asked in group:
        connection.execute("SAVEPOINT change")
        try:
            asked.result = asked.change(transaction)
            transaction.settle(now())
        except (sqlite3.Error, OSError):
            raise
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and is raised there
            asked.error = error
            connection.execute("ROLLBACK TO change")
            transaction.forget_read()
        connection.execute("RELEASE change")
    connection.execute("COMMIT")


def _roll_back(transaction: Transaction) -> None:
    transaction.forget_read()
    if transaction.connection.in_transaction:
        transaction.connection.execute("ROLLBACK")


def _translated(error: sqlite3.Error | OSError) -> RundError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return FullError("the disk that holds rund's home is full: nothing was changed; free some space and try again")
    _log.error("a change could not be written", exc_info=error)
    return InternalError(f"the store could not be written ({error}): nothing was changed; the daemon's log tells more")
