"""Compares the counts that are kept of runs with the runs themselves, and counts anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from rund.errors import InternalError
from rund.store.connection import open_writer
from rund.store.transaction import Transaction

# Each table of counts, and what it should hold.
_COUNTS: Final = {
    "counts": "SELECT status, deleted IS NOT NULL, count(*) FROM runs GROUP BY 1, 2",
    "trial_counts": "SELECT batch, status, count(*) FROM runs WHERE batch IS NOT NULL GROUP BY 1, 2",
}


def miscounted(connection: sqlite3.Connection) -> int:
    """How many of the counts are wrong, as of one moment."""
    connection.execute("BEGIN")
    try:
        return sum(
            len(set(connection.execute(truth)) ^ set(connection.execute(f"SELECT * FROM {table} WHERE runs > 0")))
            for table, truth in _COUNTS.items()
        )
    finally:
        connection.execute("COMMIT")


def recount(database: Path, *, now: float) -> None:
    """Count anew, and give batches their status.  Only with the home's lock held; raises `InternalError`."""
    try:
        connection = open_writer(database)
        try:
            connection.execute("BEGIN IMMEDIATE")
            _recount(connection, now)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InternalError(f"runs cannot be counted anew ({error}): start rund once, then look again") from None


def _recount(connection: sqlite3.Connection, now: float) -> None:
    for table, truth in _COUNTS.items():
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"INSERT INTO {table} {truth}")
    transaction = Transaction(connection)
    transaction.doubt(row[0] for row in connection.execute("SELECT id FROM runs WHERE generation IS NOT NULL"))
    transaction.settle(now)
