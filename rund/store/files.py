"""The files of an open database: whether they are still those that their names tell.

Rules:

- What is written to a file that was removed, moved or replaced goes with this process.  So nothing is acknowledged
  that the next daemon would not find: the names are looked at before a change and once more when it is committed.
- SQLite opens its log by name.  While either file is not the one that was opened, no other connection is opened: it
  would make a file that does not belong there, or read one that belongs to something else.
- Only where a name is not there, or means another file, is anything known to be gone.  What cannot be looked at is told
  as just that; nothing is written meanwhile, and the next look may be a better one.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final, NamedTuple

from rund.store.directories import Directories

_AGAIN: Final = "start rund again (`runctl daemon stop`)"
_RESTORE: Final = "`runctl daemon stop`, then `runctl doctor --restore` puts the last backup in its place"


class FileFault(NamedTuple):
    """What has become of a file, and what to do; ``known`` False: it could not be looked at."""

    text: str
    known: bool


class StoreFiles:
    """The database and its log as they were opened.  They are looked at by any thread."""

    def __init__(self, directories: Directories) -> None:
        self._database = directories.database
        self._log = directories.log
        self._identity: tuple[int, int] | None = None  # of the database that was there at the first look that told
        self._is_seen = False
        # Closing it drops no lock of SQLite's, unlike that of a file opened for reading; and while it is open, no other
        # file gets its number.
        self._held: int | None = None
        self._looking = threading.Lock()
        self._log_identity: tuple[int, int] | None = None
        self.log_was_removed = False  # as the connection that writes has seen
        self.database_fault()

    def note_log(self) -> None:
        """Take the log that is there for the right one: a connection has just opened it.  Raises OSError."""
        self._log_identity = _identity(self._log)

    def database_fault(self) -> FileFault | None:
        """What has become of the database's name, and what to do; None if it is there."""
        try:
            found = self._look()
        except OSError as error:
            return _unseen("database", self._database, error)
        if found is not None and found == self._identity:
            return None
        if found is not None:
            what = f"another file is in the place of the database {self._database}: put back the one that was there"
            return FileFault(f"{what}; or {_RESTORE}", known=True)
        if self._held is not None and os.fstat(self._held).st_nlink:
            return FileFault(f"the database {self._database} is gone: put it back, and rund goes on", known=True)
        return FileFault(f"the database {self._database} is gone, for it was removed: {_RESTORE}", known=True)

    def log_fault(self) -> FileFault | None:
        """What has become of the log that was opened, and what to do; None if it is there."""
        try:
            if self._log_identity is None or _identity(self._log) == self._log_identity:
                return None
        except OSError as error:
            return _unseen("log", self._log, error)
        return FileFault(f"the log {self._log} was removed: {_AGAIN}", known=True)

    def fault(self) -> str | None:
        """What is wrong with either, and what to do; None if nothing is."""
        fault = self.database_fault() or self.log_fault()
        return None if fault is None else fault.text

    def close(self) -> None:
        """To be called when no connection is open any more, and nobody looks."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _look(self) -> tuple[int, int] | None:
        """Device and inode of the file at the database's name; the first that is seen there is the right one."""
        with self._looking:
            found = _identity(self._database)
            if not self._is_seen:
                self._is_seen, self._identity = True, found
            if self._held is None and found is not None and found == self._identity:
                self._held = _hold(self._database, found)
        return found


def _hold(path: Path, identity: tuple[int, int]) -> int | None:
    """A descriptor of the file at ``path``; None if there is none to be had now, or it is another by now."""
    try:
        held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    if _numbers(os.fstat(held)) == identity:
        return held
    os.close(held)
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at ``path``; None if there is none.  Raises OSError where nobody can tell."""
    try:
        return _numbers(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _numbers(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _unseen(what: str, path: Path, error: OSError) -> FileFault:
    reason = (error.strerror or str(error)).lower()
    return FileFault(f"the {what} {path} cannot be looked at ({reason}): rund goes on when it can", known=False)
