"""The store: one writer, some readers, and the folders beside the database."""

from __future__ import annotations

import logging
import sqlite3
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio

from rund.clock import now
from rund.errors import InternalError, RundError
from rund.store.connection import open_reader, open_writer
from rund.store.directories import Directories
from rund.store.examine import cannot_be_opened, check_store, is_damage
from rund.store.files import StoreFiles
from rund.store.log_number import Mark, draw_token, read_inside, write_beside, write_inside
from rund.store.migrate import migrate
from rund.store.reader import Reader
from rund.store.readers import Readers
from rund.store.reserve import Reserve
from rund.store.transaction import Transaction
from rund.store.version import Version
from rund.store.writer import Writer

T = TypeVar("T")
READERS = 4

_log = logging.getLogger(__name__)


class CannotReadError(InternalError):
    """The store cannot be read now: its disk fails, say."""


class Store:
    """All that is kept.  It is made, used and closed in the event loop."""

    def __init__(self, directories: Directories, committed: Callable[[], None]) -> None:
        self.directories = directories
        self.files = StoreFiles(directories)
        self._writer = Writer(directories, Reserve(directories.reserve), self.files, committed)
        self._writer.start()
        self._version = Version(directories.database, self.files)
        self._readers = Readers(self._open_reader, READERS, may_open=lambda: self.files.fault() is None)
        self.copies = anyio.CapacityLimiter(1)  # of the whole database, one after the other
        self.damage: str | None = None  # what a read has met that no other can mend
        self._told: set[str] = set()  # damaged runs that were set aside, or could not be

    @property
    def fault(self) -> str | None:
        """Why not everything can be written or read now; None if it can."""
        database = self.files.database_fault()
        if database is not None:
            return database.text
        log = self.files.log_fault()
        copied = None if log is None else f"{log.text}; until then each change is copied into the database, or refused"
        return self._writer.fault or copied or self.damage

    @property
    def stops(self) -> int:
        """A number that grows with each commit by which a run is being stopped."""
        return self._writer.stops

    async def write(self, change: Callable[[Transaction], T], *, urgent: bool = False) -> T:
        """Carry out ``change`` in a transaction of its own; see `Writer.write`."""
        return await self._writer.write(change, urgent=urgent)

    def version(self) -> int | None:
        """A number that changes with each commit; None if it cannot be told."""
        return self._version.now()

    async def read(self, query: Callable[[Reader], T]) -> T:
        """The answer of ``query``, from one committed state.  Raises `CannotReadError`, and what ``query`` raises."""
        try:
            answer, met = await self._readers.read(partial(_read, query))
        except sqlite3.DatabaseError as error:
            if not isinstance(error, sqlite3.OperationalError) and not is_damage(error):
                raise  # a fault of ours
            raise self._cannot_read(error) from error
        if met.keys() - self._told:
            self._told |= met.keys()
            await self._set_aside(met)
        return answer

    def _cannot_read(self, error: sqlite3.DatabaseError) -> CannotReadError:
        if is_damage(error):
            self.damage = f"the database {self.directories.database} is damaged ({error})"
            return CannotReadError(f"{self.damage}: `runctl doctor` tells what to do")
        return CannotReadError(f"the store cannot be read ({error}): is its disk full, or failing?")

    async def _set_aside(self, met: dict[str, str]) -> None:
        """Set aside the damaged runs that a read has met; what cannot be now is met by the next daemon."""
        try:
            await self.write(lambda transaction: transaction.set_aside(met, now()))
        except RundError as error:
            _log.warning("damaged runs could not be set aside: %s", error.message)

    def _open_reader(self) -> Reader:
        return Reader(open_reader(self.directories.database))

    async def answer(self) -> None:
        """Return when the thread that writes has got round to it; raises as `write`."""
        await self._writer.write(lambda _: None)

    def work(self) -> float:
        """Seconds of a processor that the thread that writes has used so far."""
        return self._writer.work()

    async def close(self) -> None:
        """Write what has been asked so far, and close every connection."""
        await self._writer.close()
        self._version.close()
        await self._readers.close()
        self.files.close()


def _read(query: Callable[[Reader], T], reader: Reader) -> tuple[T, dict[str, str]]:
    """The answer of ``query`` from one committed state, and the damaged runs that it met."""
    reader.snapshot()
    try:
        answer = query(reader)
    except BaseException as error:
        # What it had begun to read would stay open, and hold up the copying of the log, for as long as the error is
        # kept by anybody.
        traceback.clear_frames(error.__traceback__)
        raise
    else:
        met, reader.met = reader.met, {}
        return answer, met
    finally:
        reader.release()


def prepare(directories: Directories, working: Callable[[], None] = lambda: None) -> None:
    """Make the home and bring its database up to date; raises `UnsupportedError` where that cannot be.

    ``working`` is called again and again while it is brought up to date, see `migrate`.

    A damaged database is left as it is, and none is made where one is missing: `DamagedStoreError` tells.
    """
    directories.make()
    check_store(directories)
    reserve = Reserve(directories.reserve)
    try:
        _migrate(directories, working)
    except sqlite3.DatabaseError as error:
        # SQLite does not always tell a full disk from others: what it keeps beside the database has to be made, too.
        if not reserve.give_up():
            raise cannot_be_opened(directories.database, error) from None
        try:
            _migrate(directories, working)
        except sqlite3.DatabaseError as again:
            raise cannot_be_opened(directories.database, again) from None


def _migrate(directories: Directories, working: Callable[[], None]) -> None:
    path = directories.database
    connection = open_writer(path, make=True)
    try:
        path.chmod(0o600)
        migrate(connection, str(path), working)
        _give_number(connection)
        _write_number(directories, read_inside(connection))
    finally:
        connection.close()


def _give_number(connection: sqlite3.Connection) -> None:
    """Give the database that the last daemon left a number of its own, see `log_number`."""
    number = read_inside(connection).number
    if not number:
        return  # nothing was ever changed
    try:
        connection.execute("BEGIN IMMEDIATE")
        write_inside(connection, Mark(number=number + 1, token=draw_token()))
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:  # a full disk hinders no start
        _log.warning("the database could not be given a number: %s", error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _write_number(directories: Directories, mark: Mark) -> None:
    try:
        write_beside(directories.log_number, directories.log, mark)
    except OSError as error:  # a full disk hinders no start: the first commit writes it
        _log.warning("%s cannot be written: %s", directories.log_number, error.strerror)
