"""The store: one writer, some readers, and the folders beside the database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from rund.errors import UnsupportedError
from rund.store.connection import open_reader, open_writer
from rund.store.directories import Directories
from rund.store.migrate import migrate
from rund.store.reader import Reader
from rund.store.transaction import Transaction
from rund.store.writer import Writer

T = TypeVar("T")
READERS = 4


class Store:
    """All that is kept.  Make it in the event loop with `open_store`, and close it there."""

    def __init__(self, directories: Directories, committed: Callable[[], None]) -> None:
        self.directories = directories
        self._writer = Writer(directories.database, committed)
        self._writer.start()
        self._limiter = anyio.CapacityLimiter(READERS)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Carry out ``change`` in a transaction of its own; see `Writer.write`."""
        return await self._writer.write(change)

    async def read(self, query: Callable[[Reader], T]) -> T:
        """The answer of ``query``, from one committed state."""
        return await anyio.to_thread.run_sync(self._read, query, limiter=self._limiter)

    def _read(self, query: Callable[[Reader], T]) -> T:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            connection = open_reader(self.directories.database)
            self._connections.append(connection)
            reader = self._local.reader = Reader(connection)
        reader.snapshot()
        try:
            return query(reader)
        finally:
            reader.release()

    async def close(self) -> None:
        """Write what has been asked so far, and close every connection."""
        await self._writer.close()
        for connection in self._connections:
            connection.close()


def prepare(directories: Directories) -> None:
    """Make the home and bring its database up to date; raises `UnsupportedError` where that cannot be."""
    directories.make()
    path: Path = directories.database
    try:
        connection = open_writer(path)
        path.chmod(0o600)
        try:
            migrate(connection, str(path))
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise UnsupportedError(f"the database {path} cannot be read ({error}): it was left as it is") from None
