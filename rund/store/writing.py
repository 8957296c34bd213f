"""The connection that writes: opened, given up after a fault, and opened again when it is certain what is there.

Rules:

- What a failed flush was to make durable may be on the disk or not, and a second flush proves nothing, for the kernel
  may call it done.  So it is never tried again: the connection is given up, and a commit of no meaning is written over
  what was left in the log.  When that is durable, it is certain that nothing was changed; until then it is not, and
  nothing else is written.
- Nothing is written where the next daemon would not find it: see `files`.  What was all the same, because a file went
  while it was being committed, can neither be taken back nor acknowledged; only the next daemon can tell what there is
  of it, and nothing else is written before.
"""

from __future__ import annotations

import logging
import sqlite3

from rund.store.connection import open_writer
from rund.store.directories import Directories
from rund.store.files import FileFault, StoreFiles
from rund.store.log import Log
from rund.store.transaction import Transaction

_AGAIN = "start rund again (`runctl daemon stop`)"
_log = logging.getLogger(__name__)


class MissingFileError(Exception):
    """A file of the database is not where it must be; the text says which, and what to do."""


class WritingConnection:
    """The connection that writes to a home's database.  For one thread."""

    def __init__(self, directories: Directories, files: StoreFiles) -> None:
        self._directories = directories
        self._files = files
        self._transaction: Transaction | None = None
        self.log: Log
        self._given_up: sqlite3.Connection | None = None
        self._unsettled = False  # a failed flush may have left something
        self._torn: str | None = None  # why only the next daemon can tell what there is

    def ready(self) -> Transaction:
        """Its transactions, when it is certain what is there.

        Raises `MissingFileError`, and what SQLite raises: then it is not, or cannot be told.
        """
        if self._torn is not None:
            raise MissingFileError(self._torn)
        gone = self._files.database_fault()
        if gone is not None:
            raise MissingFileError(gone.text)
        transaction = self._opened()
        if self._unsettled:
            self._settle(transaction)
            self._unsettled = False
        return transaction

    def prove(self) -> None:
        """See that a commit can be made, by one of no meaning; raises as `ready`."""
        self._settle(self.ready())

    def lost(self) -> str | None:
        """What became of the files while a change was committed, and what to do; None if the change is kept."""
        fault = self._files.database_fault()
        if fault is None and self._transaction is not None and not self.log.is_kept():
            unseen = self._files.log_fault()
            gone = FileFault(f"the log {self._directories.log} was removed", known=True)
            fault = gone if unseen is None or unseen.known else unseen
        if fault is None:
            return None
        _log.error("%s: it is not certain whether what was being written is kept", fault.text)
        uncertain = f"it is not certain whether this is kept, for {fault.text}"
        if not fault.known:  # what it was written to is still held: the next look tells
            return f"{uncertain}; look before you ask again"
        self._torn = f"the database {self._directories.database} or its log went while a change was written: {_AGAIN}"
        return f"{uncertain}; {_AGAIN}, and look before you ask again"

    def settle_flush(self) -> None:
        """After a commit that failed nobody knows how: make certain that it left nothing; raises as `ready`."""
        self._unsettled = True
        self.give_up()
        self.ready()

    def copy_log(self) -> None:
        """Copy the log into the database, if it has grown; see `Log`."""
        # While the database is moved away, both are left as they are.
        if self._transaction is not None and not self._unsettled and self._files.database_fault() is None:
            self.log.copy_if_due()

    def give_up(self) -> None:
        """Let the next transaction have a new connection."""
        if self._transaction is None:
            return
        connection, self._transaction = self._transaction.connection, None
        self._close_given_up()
        self._given_up = connection
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._close_given_up()  # or its lock would hold up the next

    def close(self) -> None:
        """Close the connection."""
        self.give_up()
        self._close_given_up()

    def _opened(self) -> Transaction:
        if self._transaction is None:
            gone = self._files.log_fault()
            if gone is not None:
                raise MissingFileError(gone.text)
            connection = open_writer(self._directories.database)
            try:
                self.log = Log(connection, self._directories, self._files)
                self._transaction = Transaction(connection)
            except BaseException:
                connection.close()
                raise
            # Only now: without any connection the next would read from the log what is not certain.
            self._close_given_up()
        return self._transaction

    def _settle(self, transaction: Transaction) -> None:
        """Write a commit of no meaning over what a failed one may have left in the log."""
        connection = transaction.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            self.give_up()
            raise

    def _close_given_up(self) -> None:
        connection, self._given_up = self._given_up, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                _log.exception("the connection could not be closed")
