"""The writer's part in SQLite's log: when it is copied into the database, and its number (see `log_number`).

A log that was removed goes with this process.  From then on what is committed is copied into the database before it is
answered.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from rund.store.directories import Directories
from rund.store.files import StoreFiles
from rund.store.log_number import Mark, draw_token, read_inside, write_beside, write_inside

# About the thousand pages that SQLite's own rule would have, told by what is known here.
_COMMITS: Final = 100
_ROWS: Final = 2_000
# What SQLite cuts the file to when it is begun anew; beyond this and half as much again it is copied soon.
_LIMIT: Final = 8 * 1024**2  # bytes

_log = logging.getLogger(__name__)


class Log:
    """The log, as seen by the connection that writes.

    SQLite copies nothing by itself, for there is to be a new number before each copy and after it.
    """

    def __init__(self, connection: sqlite3.Connection, directories: Directories, files: StoreFiles) -> None:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_LIMIT}")
        self._connection = connection
        self._file = directories.log
        self._files = files
        self._beside = directories.log_number
        self._number = read_inside(connection).number
        self._token = draw_token()
        self._rows = connection.total_changes
        self._begun = self._rows
        self._commits = 0
        files.note_log()
        self._bytes = 0  # of the file when it was copied last, if it was too large then
        self._due = True  # the next commit is to have a new number
        self._numbered = False  # the open transaction has one
        self._unwritten = True  # the file does not have it yet
        self._sealed = True  # nothing was committed since the last number
        self._large = False  # the file was too large after the last commit

    def begin(self) -> None:
        """To be called when a transaction has begun."""
        self._begun = self._connection.total_changes
        self._numbered = False

    def number(self) -> None:
        """Give the open transaction a number, if it changes anything and needs one; the last before its commit."""
        if (self._due or self._is_full(1)) and self._connection.total_changes > self._begun:
            write_inside(self._connection, Mark(number=self._number + 1, token=self._token))
            self._numbered = True

    def committed(self) -> None:
        """Note a commit; returns when its number, if it has one, is durable beside the database."""
        self._commits += 1
        self._sealed = self._numbered or (self._sealed and self._connection.total_changes == self._begun)
        if self._numbered:
            self._number += 1
            self._due, self._numbered, self._unwritten = False, False, True
        if self._unwritten and not self._due:
            try:
                write_beside(self._beside, self._file, Mark(number=self._number, token=self._token))
                self._unwritten = False
            except OSError as error:  # the change is durable all the same
                _log.warning("%s cannot be written: %s", self._beside, error)

    def is_kept(self) -> bool:
        """Whether what was committed outlives this process: of a log that was removed it is copied for that."""
        fault = self._files.log_fault()
        if fault is None:
            return True
        if fault.known and not self._files.log_was_removed:
            self._files.log_was_removed = True
            _log.error("%s was removed: changes are copied into the database at once; start rund again", self._file)
        # Unlike the copying that is due it waits for those who read.
        busy, frames, copied = self._copy("FULL")
        return not busy and frames == copied

    def copy_if_due(self) -> None:
        """Copy the log into the database where it has grown, as far as no reader needs it."""
        removed = self._files.log_fault() is not None  # what was answered before that is copied as well
        self._large = self._too_large() or self._large
        if removed or (self._sealed and self._is_full()):
            self._copy("PASSIVE")

    def _is_full(self, more: int = 0) -> bool:
        """Whether it has grown so much that it is to be copied, with so many ``more`` commits, of which one is open."""
        rows = self._connection.total_changes - self._rows
        return self._large or self._commits + more >= _COMMITS or rows >= _ROWS

    def _copy(self, how: str) -> tuple[int, int, int]:
        """Whether somebody hindered it, and how many pages the log has and were copied of it."""
        self._commits, self._rows, self._large = 0, self._connection.total_changes, False
        busy, frames, copied = 1, 0, 1  # nobody knows
        try:
            busy, frames, copied = self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        except sqlite3.Error as error:
            _log.warning("the log of the database cannot be copied into it just now: %s", error)
        self._due = self._due or copied > 0
        return busy, frames, copied

    def _too_large(self) -> bool:
        """Whether the file is too large, and was not copied at this size: a reader may hinder that it is begun anew."""
        try:
            size = self._file.stat().st_size
        except OSError:
            return False
        if size <= _LIMIT + _LIMIT // 2:
            self._bytes = 0
            return False
        grown = size > self._bytes
        self._bytes = size
        return grown
