"""Puts a backup in the place of a damaged database, which is kept.

Rules:

- Only with the home's lock held, and no connection open.
- The copy is whole, durable and has a number that no log of before can have, before anything is moved.
- At each moment there is the old database, or none and a mark that there was one, or the copy: a kill between is told
  at the next start, and the restoring is begun again.  The log goes first, for it must never meet another database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rund.errors import InvalidError
from rund.store.backup import sync_folder
from rund.store.directories import PRIVATE, Directories
from rund.store.log_number import Beside, Mark, draw_token, read_beside, write_inside
from rund.store.migrate import APPLICATION_ID, migrations

_KEPT: Final = "damaged"  # the folder of what was replaced
_HALF: Final = ".restoring"
_MOVED: Final = ("rund.db-wal", "rund.db-shm", "rund.db-journal", "rund.db")


def restore(directories: Directories, backup: Path, *, now: float) -> Path | None:
    """Put ``backup`` in place; answers the folder in which what was there is kept, None if there was nothing.

    Raises `InvalidError` if ``backup`` is no whole database of rund, and OSError; then nothing was changed, or it is
    told at the next start.
    """
    above = directories.home / _KEPT
    above.mkdir(mode=PRIVATE, exist_ok=True)
    half = above / _HALF
    half.unlink(missing_ok=True)
    try:
        beside = read_beside(directories.log_number) or Beside()
        _take(backup, half, Mark(number=beside.mark.number + 1, token=draw_token()))
        kept = _move_away(directories, now)
        half.rename(directories.database)
    finally:
        half.unlink(missing_ok=True)
    sync_folder(directories.home)
    return kept


def _take(backup: Path, half: Path, mark: Mark) -> None:
    """Copy ``backup`` to ``half``, and see whether it is whole."""
    if not backup.is_file():
        raise InvalidError(f"{backup} is no file: give a backup that `runctl backup` or the daemon made")
    shutil.copyfile(backup, half)
    half.chmod(0o600)
    try:
        connection = sqlite3.connect(half, isolation_level=None)
        try:
            _check(connection, backup)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN IMMEDIATE")
            write_inside(connection, mark)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise InvalidError(f"{backup} is no whole database ({error}): give another one") from None
    descriptor = os.open(half, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(connection: sqlite3.Connection, backup: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(" ".join(found.split()))
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID or not version:
        raise InvalidError(f"{backup} is a database of another program: give a backup of rund")
    if version > len(migrations()):
        raise InvalidError(f"{backup} was made by a later version of rund: update rund")


def _move_away(directories: Directories, now: float) -> Path | None:
    """Move the database and what belongs to it into a folder of its own."""
    present = [name for name in _MOVED if os.path.lexists(directories.home / name)]
    if not present:
        return None
    stamp = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    above = directories.home / _KEPT
    folder = above / stamp
    number = 1
    while os.path.lexists(folder):  # begun before, and killed; or twice in a second
        number += 1
        folder = above / f"{stamp}-{number}"
    folder.mkdir(mode=PRIVATE)
    for name in present:
        (directories.home / name).rename(folder / name)
        sync_folder(folder)
        sync_folder(directories.home)
    return folder
