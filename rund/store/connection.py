"""Opens connections to the database.

Inside the daemon the file is never opened by other means: closing such a descriptor would drop SQLite's locks.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

BUSY_TIMEOUT_MS = 10_000


def open_writer(path: Path, *, make: bool = False) -> sqlite3.Connection:
    """The connection that writes; every commit is on the disk when it returns (``synchronous=FULL``).

    With NORMAL a power cut would lose acknowledged commits.  ``make``: make the database if there is none.
    """
    connection = _open(path, "rwc" if make else "rw")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, each statement or snapshot one committed state."""
    connection = _open(path, "rw")
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_untouched(path: Path, *, with_log: bool = True) -> sqlite3.Connection:
    """A connection that leaves the database and its log as they are, also when it is closed.

    ``with_log`` False: it is read as if it had no log.  Not for a database that somebody changes meanwhile then.
    """
    mode = "mode=ro" if with_log else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, by the one who opened it; autocommit, so that
    # transactions begin and end only where they are written down.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection
