"""Brings a database to this version's schema, in one transaction, or refuses it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Final

from rund.errors import UnsupportedError

APPLICATION_ID = 0x72756E64  # "rund": what `file` and `sqlite3` say of the database

_STEPS: Final = 1_000_000  # of SQLite's machine, between two looks at the clock: some milliseconds
_TELL: Final = 10.0  # seconds


def migrations() -> list[str]:
    """The SQL of each schema version, from 1 on."""
    folder = resources.files("rund.store") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in files]


def migrate(connection: sqlite3.Connection, where: str, working: Callable[[], None]) -> None:
    """Bring the database ``where`` up to date.

    ``working`` is called when it begins, each ten seconds while it goes on, and when it is done; not if there is
    nothing to do.  Raises `UnsupportedError` if it is a later version's, or not rund's at all.
    """
    steps = migrations()
    version = known_version(connection, where)
    if version == len(steps):
        return
    with _watched(connection, working):
        _carry_out(connection, steps, version)


def known_version(connection: sqlite3.Connection, where: str) -> int:
    """The schema version of the database ``where``.  Raises `UnsupportedError` as `migrate`."""
    known = len(migrations())
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner not in (0, APPLICATION_ID) or (owner == 0 and _has_tables(connection)):
        raise UnsupportedError(f"{where} is not a database of rund: move it away, or set RUND_HOME to another folder")
    if version > known:
        raise UnsupportedError(
            f"{where} was written by a later version of rund (schema {version}; this one knows {known}): update rund"
        )
    return version


def _carry_out(connection: sqlite3.Connection, steps: list[str], version: int) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for step in steps[version:]:
            for statement in statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _watched(connection: sqlite3.Connection, working: Callable[[], None]) -> Iterator[None]:
    """Call ``working`` while SQLite works: one that hangs is not told as working."""
    told = time.monotonic()

    def look() -> None:
        nonlocal told
        if time.monotonic() >= told + _TELL:
            told = time.monotonic()
            working()

    working()
    connection.set_progress_handler(look, _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
    working()  # what was written is copied into the database yet, which takes its time too


def expected_objects(version: int) -> set[tuple[str, str]]:
    """(type, name) of all that a database of schema ``version`` holds; nothing of a version not known here."""
    steps = migrations()
    if not 1 <= version <= len(steps):
        return set()
    connection = sqlite3.connect(":memory:")
    try:
        for step in steps[:version]:
            connection.executescript(step)
        return {(row[0], row[1]) for row in connection.execute("SELECT type, name FROM sqlite_schema")}
    finally:
        connection.close()


def statements(script: str) -> list[str]:
    """The statements of ``script``, apart: sqlite3's own ``executescript`` would commit between them."""
    found: list[str] = []
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        statement = "\n".join(lines)
        if sqlite3.complete_statement(statement):
            found.append(statement)
            lines = []
    return found


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
