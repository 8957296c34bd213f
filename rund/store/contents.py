"""Reads what is kept once per content: setups, operations, environments."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from rund.errors import InternalError
from rund.model.run import Setup
from rund.store.codec import setup_from_row
from rund.store.queries import QUERIES

SETUPS_KEPT: Final = 1_000  # of each connection: about a megabyte


class ContentReader:
    """Reads of one connection, which only one thread may use."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that it reads on."""
        return self._connection

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._setups: dict[int, Setup] = {}

    def operation(self, digest: str) -> str:
        """The stored text of an operation."""
        return str(self._one("SELECT body FROM operations WHERE digest = ?", digest))

    def environment(self, digest: str) -> str:
        """The stored text of an environment."""
        return str(self._one("SELECT body FROM environments WHERE digest = ?", digest))

    def unneeded_sources(self, sources: Iterable[str]) -> list[str]:
        """Those of ``sources`` that no setup names."""
        return [
            source
            for source in sources
            if self._connection.execute("SELECT 1 FROM setups WHERE source = ? LIMIT 1", (source,)).fetchone() is None
        ]

    def setups_after(self, key: int, limit: int) -> tuple[list[int], int | None]:
        """(those that nothing needs of the next so many setups after ``key``, the last key looked at: None at the end).

        What was replaced by a restart is needed no more.
        """
        rows = self._connection.execute(QUERIES["setups_after"], (key, limit)).fetchall()
        return [found for found, unused in rows if unused], rows[-1][0] if rows else None

    def contents_without_setups(self) -> tuple[list[str], list[str]]:
        """The digests of operations, and of environments, that no setup needs."""
        operations = self._connection.execute(QUERIES["operations_without_setups"]).fetchall()
        environments = self._connection.execute(QUERIES["environments_without_setups"]).fetchall()
        return [row[0] for row in operations], [row[0] for row in environments]

    def _one(self, statement: str, value: str) -> object:
        row = self._connection.execute(statement, (value,)).fetchone()
        if row is None:
            raise InternalError(f"the store has lost {value}")
        return row[0]

    def _setups_of(self, keys: Iterable[int | None]) -> dict[int, Setup]:
        """The setups by key, those of ``keys`` among them: contents never change, so they are remembered."""
        if len(self._setups) >= SETUPS_KEPT:
            self._setups.clear()  # before any is read: none of ``keys`` may be forgotten for another
        for key in keys:
            if key is not None and key not in self._setups:
                row = self._connection.execute(
                    "SELECT operation, environment, source, options FROM setups WHERE key = ?", (key,)
                ).fetchone()
                if row is None:
                    raise ValueError(f"setup {key} is lost")
                self._setups[key] = setup_from_row(row)
        return self._setups
