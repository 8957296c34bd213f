"""Tells whether anything was committed, without reading it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from rund.store.connection import open_reader
from rund.store.files import StoreFiles


class Version:
    """A number that changes with each commit to the database at ``path``, whoever makes it; asked by one thread."""

    def __init__(self, path: Path, files: StoreFiles) -> None:
        self._path = path
        self._files = files
        self._connection: sqlite3.Connection | None = None

    def now(self) -> int | None:
        """The present number; None if it cannot be told."""
        try:
            if self._connection is None:
                if self._files.fault() is not None:
                    return None
                self._connection = open_reader(self._path)
                self._connection.execute("PRAGMA busy_timeout = 0")  # it is asked by the event loop
            number: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return None
        return number

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
