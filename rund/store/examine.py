"""Looks whether the database is whole before it is opened for good; nothing is changed by looking.

What is looked at costs the same with a million runs: that it is there, its head, its size, its tables, and the number
of its log.  What is wrong further in is told when it is met.  Called before any connection is open: see `connection`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rund.errors import InternalError, RundError, UnsupportedError
from rund.store.backups import Backup, newest_backup
from rund.store.connection import open_untouched
from rund.store.directories import Directories
from rund.store.log_number import Beside, Mark, is_strange, read_beside, read_inside, read_salts
from rund.store.migrate import APPLICATION_ID, expected_objects, known_version

_MAGIC: Final = b"SQLite format 3\0"
_HEAD: Final = 100  # bytes: https://www.sqlite.org/fileformat2.html#the_database_header
# What may pass by itself, so that it is worth to be tried again.
_PASSING: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
)


class DamagedStoreError(UnsupportedError):
    """The database is damaged or missing; the message says what was found and what to do."""


def check_store(directories: Directories) -> None:
    """Raise `DamagedStoreError` if the database is damaged or missing; a home that never had one is fine."""
    what = find_damage(directories)
    if what is not None:
        kept = "it was left as it is" if directories.database.exists() else "none was made in its place"
        raise DamagedStoreError(f"{what}: {kept}; {offer(directories, newest_backup(directories.backups))}")


def find_damage(directories: Directories, *, live: bool = False) -> str | None:
    """What is wrong with the database, in words; None if nothing is.  ``live``: another process uses it.

    Raises `UnsupportedError` if something else stands where one of its files belongs.
    """
    path = directories.database
    _check_kinds(directories)
    beside = read_beside(directories.log_number)
    if not path.is_file() or not path.stat().st_size:
        # SQLite makes an empty file first: a daemon that was killed then left nothing else.
        if beside is None and not directories.holds_runs():
            return None
        state = "missing" if not path.exists() else "empty" if path.is_file() else "no regular file"
        return f"the database {path} is {state}, but the home holds runs or had one"
    if directories.unfinished_change():
        return None  # SQLite undoes it
    if live:
        return _content_damage(path, beside, with_log=True)
    salts = read_salts(directories.log)
    if salts is None:
        return _head_damage(path) or _content_damage(path, beside, with_log=False)
    return _content_damage(path, beside, with_log=True, log=salts)


def check_version(path: Path, *, with_log: bool) -> None:
    """Raise `UnsupportedError` if the database is a later version's, or not rund's at all."""
    connection = open_untouched(path, with_log=with_log)
    try:
        known_version(connection, str(path))
    finally:
        connection.close()


def _check_kinds(directories: Directories) -> None:
    """What is no file could hang whoever opens it, and of a symbolic link SQLite keeps the log elsewhere."""
    if directories.database.is_symlink():
        raise UnsupportedError(
            f"{directories.database} is a symbolic link, and its log lies elsewhere: put the file itself there, or link"
            " the whole home"
        )
    for path in (directories.log, directories.log_number, *directories.beside_the_log()):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise UnsupportedError(f"{path} is no regular file: move it away")


def offer(directories: Directories, backup: Backup | None) -> str:
    """What to do about a damaged database, where ``backup`` is the last one."""
    if backup is None:
        return f"there is no backup in {directories.backups}: `runctl doctor --restore FILE` puts one in its place"
    made = datetime.fromtimestamp(backup.made, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"`runctl doctor --restore` puts the last backup, of {made}, in its place and keeps what is there"


def _head_damage(path: Path) -> str | None:
    """What the head of a database without log shows to be wrong."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    size = path.stat().st_size
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        return f"the file {path} is not a database: its head is damaged"
    (page,) = struct.unpack_from(">H", head, 16)
    (changes,), (pages,), (valid_for,) = (struct.unpack_from(">I", head, at) for at in (24, 28, 92))
    page_bytes = 65_536 if page == 1 else page
    if changes == valid_for and pages * page_bytes > size:
        return f"the database {path} was cut off: it has {size:,} bytes of {pages * page_bytes:,}"
    return None


def _content_damage(path: Path, beside: Beside | None, *, with_log: bool, log: int | None = None) -> str | None:
    """What is wrong with what is in the database; ``log``: the salts of its log, if it is to be compared with that."""
    alone = None if log is None else _read_alone(path)
    try:
        connection = open_untouched(path, with_log=with_log)
        try:
            if alone is not None and log is not None and is_strange(alone, _whole(connection), beside, log):
                return (
                    f"the log {path}-wal is not that of the database that is there: an older one, or another, was put"
                    " in its place (put back the one that was there; or"
                    f" `runctl doctor --restore {path}` goes on with this one and keeps the log)"
                )
            return _tables_damage(connection, path, made=beside is not None) or _log_damage(connection, path, beside)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return f"the database {path} is damaged ({error})"
        raise cannot_be_opened(path, error) from None


def _read_alone(path: Path) -> Mark | None:
    """The mark of the database without its log; None if there is none that can be read.

    Where the copying of a log was cut short there are pages of two states, until the log makes them whole.
    """
    try:
        connection = open_untouched(path, with_log=False)
        try:
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            return read_inside(connection) if ours else Mark()
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _whole(connection: sqlite3.Connection) -> Mark | None:
    """The mark of the database with its log; None if they make none: what they are then is told by the tables."""
    try:
        return read_inside(connection)
    except sqlite3.Error:
        return None


def cannot_be_opened(path: Path, error: sqlite3.DatabaseError) -> RundError:
    """What to tell of a database that cannot be opened, and is not known to be damaged."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
        return InternalError(f"the database {path} cannot be opened ({error}): is its disk full, failing or in use?")
    return UnsupportedError(f"the database {path} cannot be read ({error}): it was left as it is")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error tells of a damaged database, and not of a full disk, of missing rights or of a fault of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _tables_damage(connection: sqlite3.Connection, path: Path, *, made: bool) -> str | None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner not in (0, APPLICATION_ID):
        return None  # another program's: told when it is opened
    present = {(row[0], row[1]) for row in connection.execute("SELECT type, name FROM sqlite_schema")}
    if not present and made:
        return f"the database {path} is empty, but it had runs"
    missing = sorted(name for _, name in expected_objects(version) - present)
    if missing:
        return f"the database {path} is damaged: it has lost {', '.join(missing[:3])}"
    for kind, name in present:
        if kind == "table" and not name.startswith("sqlite_"):
            connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()
    return None


def _log_damage(connection: sqlite3.Connection, path: Path, beside: Beside | None) -> str | None:
    if beside is None or not connection.execute("PRAGMA user_version").fetchone()[0]:
        return None
    if read_inside(connection).number >= beside.mark.number:
        return None
    return (
        f"the last changes of the database {path} are missing: its log {path.name}-wal was removed or damaged,"
        " or an older database was put in its place"
    )
