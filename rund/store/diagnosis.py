"""Reads a whole database to see what is wrong with it; changes nothing, beside a daemon or without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rund.store.connection import open_untouched
from rund.store.reader import Reader
from rund.store.recounting import miscounted

_NAMED: Final = 3
_ENOUGH: Final = 200_000  # runs; with more, only what has been met is told of them one by one


@dataclass(slots=True, kw_only=True)
class Diagnosis:
    """What a whole reading showed."""

    faults: list[str] = field(default_factory=list)  # of the database itself
    damaged: dict[str, str] = field(default_factory=dict)  # runs, and what is wrong with each
    runs: int = 0
    missing: list[str] = field(default_factory=list)  # runs whose folder is gone
    miscounted: int = 0  # counts by status that are wrong
    unknown: int = 0  # folders of runs that the database does not know


def diagnose(database: Path, runs_folder: Path, *, with_log: bool) -> Diagnosis:
    """Read all of ``database``, and compare its runs with the folders in ``runs_folder``.

    ``with_log`` False: there is no log, and none is made.
    """
    found = Diagnosis()
    try:
        with _reader(database, with_log=with_log) as reader:
            connection = reader.connection
            rows = connection.execute(f"PRAGMA quick_check({_NAMED})").fetchall()
            found.faults += [" ".join(str(row[0]).split()) for row in rows if row[0] != "ok"]
            lost = connection.execute("PRAGMA foreign_key_check").fetchmany(_NAMED)
            found.faults += [f"a row of {table} names one of {other} that is lost" for table, _, other, _ in lost]
            found.runs = sum(reader.counts().values()) + sum(reader.counts(trash=True).values())
            found.miscounted = miscounted(connection)
            found.damaged = reader.all_damaged(unmarked=found.runs <= _ENOUGH)
            if found.runs <= _ENOUGH:
                _compare(reader, runs_folder, found)
    except sqlite3.DatabaseError as error:
        found.faults.append(str(error))
    return found


def _compare(reader: Reader, folder: Path, found: Diagnosis) -> None:
    rows = reader.connection.execute("SELECT id, attempts FROM runs WHERE generation IS NULL").fetchall()
    present = {path.name for path in folder.glob("??/*")}
    found.missing = [run_id for run_id, attempts in rows if attempts and run_id not in present]
    found.unknown = len(present - {run_id for run_id, _ in rows})


@contextmanager
def _reader(database: Path, *, with_log: bool) -> Iterator[Reader]:
    connection = open_untouched(database, with_log=with_log)
    try:
        yield Reader(connection)
    finally:
        connection.close()
