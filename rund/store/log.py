"""The writer's part in SQLite's log: when it is copied into the database, and its number (see `log_number`)."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

from rund.store.directories import Directories
from rund.store.log_number import read_inside, write_beside, write_inside

# About the thousand pages that SQLite's own rule would have, told by what is known here.
_COMMITS: Final = 100
_ROWS: Final = 2_000
# What SQLite cuts the file to when it is begun anew; beyond this and half as much again it is copied at once.
_LIMIT: Final = 8 * 1024**2  # bytes

_log = logging.getLogger(__name__)


class Log:
    """The log, as seen by the connection that writes.

    SQLite copies nothing by itself, for each copy is to be followed by a new number.
    """

    def __init__(self, connection: sqlite3.Connection, directories: Directories) -> None:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_LIMIT}")
        self._connection = connection
        self._file = directories.log
        self._beside = directories.log_number
        self._number = read_inside(connection)
        self._rows = connection.total_changes
        self._begun = self._rows
        self._commits = 0
        self._inode = _inode(directories.log)
        self._bytes = 0  # of the file when it was copied last, if it was too large then
        self._told = False  # that it was removed
        self._due = True  # the next commit is to have a new number
        self._numbered = False  # the open transaction has one
        self._unwritten = True  # the file does not have it yet

    def begin(self) -> None:
        """To be called when a transaction has begun."""
        self._begun = self._connection.total_changes
        self._numbered = False

    def number(self) -> None:
        """Give the open transaction a number, if it changes anything and needs one; the last before its commit."""
        if self._due and self._connection.total_changes > self._begun:
            write_inside(self._connection, self._number + 1)
            self._numbered = True

    def committed(self) -> None:
        """Note a commit; returns when its number, if it has one, is durable beside the database."""
        self._commits += 1
        if self._numbered:
            self._number += 1
            self._due, self._numbered, self._unwritten = False, False, True
        if self._unwritten and not self._due:
            try:
                write_beside(self._beside, self._number)
                self._unwritten = False
            except OSError as error:  # the change is durable all the same
                _log.warning("%s cannot be written: %s", self._beside, error)

    def copy_if_due(self) -> None:
        """Copy the log into the database where it has grown, as far as no reader needs it."""
        rows = self._connection.total_changes - self._rows
        removed = self._removed()
        if not removed and self._commits < _COMMITS and rows < _ROWS and not self._too_large():
            return
        self._commits, self._rows = 0, self._connection.total_changes
        try:
            copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[2]
        except sqlite3.Error as error:
            _log.warning("the log of the database cannot be copied into it just now: %s", error)
            copied = 1  # nobody knows
        self._due = self._due or copied > 0

    def _removed(self) -> bool:
        """Whether somebody removed or replaced the file: then what is written goes with this process."""
        removed = self._inode is not None and _inode(self._file) != self._inode
        if removed and not self._told:
            _log.error("%s was removed: changes are copied into the database at once; start rund again", self._file)
        self._told = removed
        return removed

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


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
