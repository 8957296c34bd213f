"""Puts a backup in the place of a damaged database, which is kept.

Rules:

- Only with the home's lock held, and no connection open.
- The copy is whole, durable and has a number that no log of before can have, before anything is moved.
- Nothing is restored while an attempt lives that the copy does not know as running: nobody could stop it, and its run
  would be started beside it.
- What waits or runs in the copy may have run since, with its results in its directory: nothing starts before it is told
  to.
- At each moment there is the old database, or none and a mark that there was one, or the copy: a kill between is told
  at the next start, and the restoring is begun again.  The log goes first, for it must never meet another database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from rund.errors import BusyError, InvalidError
from rund.store.backup import sync_folder
from rund.store.directories import PRIVATE, Directories
from rund.store.log_number import Beside, Mark, draw_token, read_beside, write_inside
from rund.store.migrate import APPLICATION_ID, migrations

_KEPT: Final = "damaged"  # the folder of what was replaced
_HALF: Final = ".restoring"
_NAMED: Final = 3  # attempts in a message
_SOME_LIVE: Final = "SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ('pending', 'running') AND generation IS NULL)"
_PAUSE: Final = "INSERT OR REPLACE INTO settings VALUES ('paused', 'true')"
_MOVED: Final = ("rund.db-wal", "rund.db-shm", "rund.db-journal", "rund.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What restoring has done."""

    kept: Path | None  # the folder in which what was there is kept; None if there was nothing
    paused: bool  # something waits or runs in what is in place now


def restore(directories: Directories, backup: Path, living: Callable[[Path], int | None], *, now: float) -> Restored:
    """Put ``backup`` in place.

    ``living`` tells of an attempt's folder by which process that attempt lives, 0 if that is not known; None if it does
    not.  Raises `InvalidError` if ``backup`` is no whole database of rund, `BusyError` if something lives that it does
    not know as running, and OSError; then nothing was changed, or it is told at the next start.
    """
    above = directories.home / _KEPT
    above.mkdir(mode=PRIVATE, exist_ok=True)
    half = above / _HALF
    _remove(half)
    try:
        beside = read_beside(directories.log_number) or Beside()
        known, paused = _take(backup, half, Mark(number=beside.mark.number + 1, token=draw_token()))
        _refuse_living(directories, backup, known, living)
        kept = _move_away(directories, now)
        half.rename(directories.database)
    finally:
        _remove(half)
    sync_folder(directories.home)
    return Restored(kept=kept, paused=paused)


def _remove(half: Path) -> None:
    """Remove a copy with what SQLite keeps beside it: a journal that was left would be put into the next copy."""
    for ending in ("", "-journal", "-wal", "-shm"):
        half.with_name(half.name + ending).unlink(missing_ok=True)


def _refuse_living(
    directories: Directories, backup: Path, known: set[str], living: Callable[[Path], int | None]
) -> None:
    """Raise `BusyError` if an attempt lives that is not among the ``known`` tokens."""
    found = {
        token: pid
        for token in directories.attempts()
        if token not in known and (pid := living(directories.attempt(token))) is not None
    }
    if not found:
        return
    attempts = "1 attempt goes" if len(found) == 1 else f"{len(found)} attempts go"
    named = ", ".join(token[:8] for token in islice(found, _NAMED)) + (", ..." if len(found) > _NAMED else "")
    pids = " ".join(str(pid) for pid in found.values() if pid)
    end = f"let `kill {pids}` end what goes on" if pids else "end what goes on"
    raise BusyError(
        f"{attempts} on that {backup} does not know as running ({named}), so nothing was restored:"
        f" wait until all have ended, or {end}, then again"
    )


def _take(backup: Path, half: Path, mark: Mark) -> tuple[set[str], bool]:
    """Copy ``backup`` to ``half``, and see whether it is whole.

    Answers the tokens of all attempts that it knows, and whether it starts nothing until it is told to.
    """
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
            known = {row[0] for row in connection.execute("SELECT token FROM attempts")}
            paused = bool(connection.execute(_SOME_LIVE).fetchone()[0])
            if paused:
                connection.execute(_PAUSE)
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
    return known, paused


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
