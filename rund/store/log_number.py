"""The number of the log, kept both in the database and beside it, so that a log that was removed is missed.

After a kill the last changes are only in SQLite's log (``rund.db-wal``).  If that file is removed, SQLite opens what
the database held before, without a word.  So:

- The first commit after each checkpoint adds one to the number in the database, and thereby into the log; then the
  number is written beside the database, durably, before anything of that commit is answered.
- Hence either the database alone holds all that was answered, or its number without the log is lower than the one
  beside it: then the log, or a part of it that begins with that commit, is gone.
- A number in the database that is higher is what a kill between the two writes leaves.
- The file is also the mark that the database was made once: it is written after the first schema was committed.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import Final

_FORMAT: Final = struct.Struct("<8sQI")  # magic, number, CRC of the two
_MAGIC: Final = b"rundlog1"
_SLOT: Final = 512  # two, written in turn: what a power cut tears is the older one, and no sector is half new


def read_beside(path: Path) -> int | None:
    """The number beside the database; 0 if it cannot be told any more, None if there never was one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return max(_slot(content[:_SLOT]), _slot(content[_SLOT : 2 * _SLOT]))


def write_beside(path: Path, number: int) -> None:
    """Write the number beside the database, durably; raises OSError.  The file keeps its size, for a full disk."""
    data = _FORMAT.pack(_MAGIC, number, zlib.crc32(_MAGIC + number.to_bytes(8, "little")))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(descriptor).st_size < 2 * _SLOT:
            os.pwrite(descriptor, bytes(2 * _SLOT), 0)
            _sync_folder(path.parent)
        os.pwrite(descriptor, data, number % 2 * _SLOT)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def read_inside(connection: sqlite3.Connection) -> int:
    """The number in the database, 0 at first."""
    row = connection.execute("SELECT value FROM settings WHERE name = 'log_number'").fetchone()
    return 0 if row is None else int(row[0])


def write_inside(connection: sqlite3.Connection, number: int) -> None:
    """Write the number into the database, in the transaction that is open."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES ('log_number', ?)", (str(number),))


def _slot(data: bytes) -> int:
    if len(data) < _FORMAT.size:
        return 0
    magic, number, checksum = _FORMAT.unpack_from(data)
    whole = magic == _MAGIC and checksum == zlib.crc32(_MAGIC + number.to_bytes(8, "little"))
    return int(number) if whole else 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
