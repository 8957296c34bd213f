"""The files of an open database: whether they are still those that their names tell.

Rules:

- What is written to a file that was removed, moved or replaced goes with this process.  So nothing is acknowledged
  that the next daemon would not find: the names are looked at before a change and once more when it is committed.
- SQLite opens its log by name.  While either file is not the one that was opened, no other connection is opened: it
  would make a file that does not belong there, or read one that belongs to something else.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from rund.store.directories import Directories

_AGAIN: Final = "start rund again (`runctl daemon stop`)"
_RESTORE: Final = "`runctl daemon stop`, then `runctl doctor --restore` puts the last backup in its place"


class StoreFiles:
    """The database and its log as they were opened.  They are looked at by any thread."""

    def __init__(self, directories: Directories) -> None:
        self._database = directories.database
        self._log = directories.log
        # Closing it drops no lock of SQLite's, unlike that of a file opened for reading; and while it is open, no other
        # file gets its number.
        self._held: int | None = None
        with contextlib.suppress(OSError):
            self._held = os.open(self._database, os.O_PATH | os.O_CLOEXEC)
        self._identity = None if self._held is None else _numbers(os.fstat(self._held))
        self._log_identity: tuple[int, int] | None = None
        self.log_was_removed = False  # as the connection that writes has seen

    def note_log(self) -> None:
        """Take the log that is there for the right one: a connection has just opened it."""
        self._log_identity = _identity(self._log)

    def database_fault(self) -> str | None:
        """What has become of the database's name, and what to do; None if it is there."""
        found = _identity(self._database)
        if found is not None and found == self._identity:
            return None
        if found is not None:
            return (
                f"another file is in the place of the database {self._database}: put back the one that was there;"
                f" or {_RESTORE}"
            )
        if self._held is not None and os.fstat(self._held).st_nlink:
            return f"the database {self._database} is gone: put it back, and rund goes on"
        return f"the database {self._database} is gone, for it was removed: {_RESTORE}"

    def log_removed(self) -> bool:
        """Whether somebody removed or replaced the log."""
        return self._log_identity is not None and _identity(self._log) != self._log_identity

    def fault(self) -> str | None:
        """What is wrong with either, and what to do; None if nothing is."""
        what = self.database_fault()
        if what is None and self.log_removed():
            what = f"the log {self._log} was removed: {_AGAIN}; until then each change is copied into the database"
        return what

    def close(self) -> None:
        """To be called when no connection is open any more."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at ``path``; None if there is none."""
    try:
        return _numbers(path.stat())
    except OSError:
        return None


def _numbers(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
