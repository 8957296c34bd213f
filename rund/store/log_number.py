"""The number of the log, kept both in the database and beside it, so that a log that was removed is missed.

After a kill the last changes are only in SQLite's log (``rund.db-wal``).  If that file is removed, SQLite opens what
the database held before, without a word.  So:

- The first commit after each checkpoint adds one to the number in the database, and thereby into the log; then the
  number is written beside the database, durably, before anything of that commit is answered.
- Hence either the database alone holds all that was answered, or its number without the log is lower than the one
  beside it: then the log, or a part of it that begins with that commit, is gone.
- A number in the database that is higher is what a kill between the two writes leaves.
- The file is also the mark that the database was made once: it is written after the first schema was committed.

A log does not tell which database it is of either: SQLite puts its pages into any that stands beside it.  So:

- The last commit before a checkpoint has a new number, too.  SQLite begins the log anew, with other salts in its head,
  when the database alone holds all that was committed: its number is then that of no state before.
- With a number stands a token, drawn each time that the database is opened to be written: no other database has both.
- Beside the database stand the salts of its log and the log's base, the number and token that it was begun with.
- Hence a database that has a lower number than its log's base, or a number with another token, is not that of the log.
  A copy of the same database that was made later than the base is as good as that: the log makes it whole.
Sources: https://www.sqlite.org/fileformat2.html#walformat, https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Magic, number, token, the first number with that token, salts, the base's number and token; their CRC follows.
_FORMAT: Final = struct.Struct("<8sQQQQQQ")
_MAGIC: Final = b"rundlog2"
_BEFORE: Final = struct.Struct("<8sQ")  # the same of earlier versions
_MAGIC_BEFORE: Final = b"rundlog1"
_CRC: Final = struct.Struct("<I")
_SLOT: Final = 512  # two, written in turn: what a power cut tears is the older one, and no sector is half new
_LOG_MAGIC: Final = (0x377F0682, 0x377F0683)
_LOG_HEAD: Final = 32  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A state of the database: its number, and the token that was drawn with it; 0 where there is none."""

    number: int = 0
    token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is noted beside the database."""

    mark: Mark = Mark()
    since: int = 0  # the first number that has the mark's token
    salts: int | None = None  # of the log that there was then, 0 if there was none; None: they are not known
    base: Mark = Mark()  # of that log

    def base_of(self, salts: int) -> Mark:
        """The base of the log that has ``salts``, or what is known of it."""
        if self.salts is None:
            return Mark()
        return self.base if salts == self.salts else self.mark  # it was begun later

    def token_of(self, number: int, salts: int) -> int | None:
        """The token that ``number`` has in the database of the log that has ``salts``; None if that is not known."""
        if self.salts is None:
            return None
        if self.since <= number <= self.mark.number:
            return self.mark.token
        base = self.base_of(salts)
        return base.token if number == base.number else None


def is_strange(alone: Mark, whole: Mark | None, beside: Beside | None, salts: int) -> bool:
    """Whether a database is not the one that the log with ``salts`` is of.

    ``alone`` is its mark without the log, ``whole`` with it, None if that cannot be read.
    """
    if whole is not None and alone.number >= whole.number:
        return alone != whole
    if beside is None:
        return False
    token = beside.token_of(alone.number, salts)
    return alone.number < beside.base_of(salts).number or (token is not None and token != alone.token)


def read_beside(path: Path) -> Beside | None:
    """What is noted beside the database; all 0 if it cannot be told any more, None if there never was anything."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    slots = (_slot(content[:_SLOT]), _slot(content[_SLOT : 2 * _SLOT]))
    return max(slots, key=lambda beside: beside.mark.number)


def write_beside(path: Path, log: Path, mark: Mark) -> None:
    """Note the database's ``mark`` and its present ``log``, durably; raises OSError.

    The file keeps its size, for a full disk.
    """
    before, salts = read_beside(path) or Beside(), read_salts(log) or 0
    base = before.base_of(salts)
    since = before.since if before.mark.token == mark.token else mark.number
    data = _FORMAT.pack(_MAGIC, mark.number, mark.token, since, salts, base.number, base.token)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(descriptor).st_size < 2 * _SLOT:
            os.pwrite(descriptor, bytes(2 * _SLOT), 0)
            _sync_folder(path.parent)
        os.pwrite(descriptor, data + _CRC.pack(zlib.crc32(data)), mark.number % 2 * _SLOT)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def read_inside(connection: sqlite3.Connection) -> Mark:
    """The mark in the database, 0 at first."""
    rows = connection.execute("SELECT name, value FROM settings WHERE name IN ('log_number', 'log_token')").fetchall()
    values = {name: int(value) for name, value in rows}
    return Mark(number=values.get("log_number", 0), token=values.get("log_token", 0))


def draw_token() -> int:
    """A token that no other has."""
    return secrets.randbits(64)


def write_inside(connection: sqlite3.Connection, mark: Mark) -> None:
    """Write the mark into the database, in the transaction that is open."""
    connection.execute(
        "INSERT OR REPLACE INTO settings VALUES ('log_number', ?), ('log_token', ?)",
        (str(mark.number), str(mark.token)),
    )


def read_salts(log: Path) -> int | None:
    """The salts in the head of a log; None if there is none that SQLite reads: it takes it for none then."""
    try:
        with log.open("rb") as file:
            head = file.read(_LOG_HEAD)
    except FileNotFoundError:
        return None
    if len(head) < _LOG_HEAD:
        return None
    (magic,) = struct.unpack_from(">I", head)
    order = ">" if magic & 1 else "<"
    first = second = 0
    for one, other in struct.iter_unpack(f"{order}II", head[:24]):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    if magic not in _LOG_MAGIC or (first, second) != struct.unpack_from(">II", head, 24):
        return None
    return int.from_bytes(head[16:24], "big")


def _slot(data: bytes) -> Beside:
    if data[:8] == _MAGIC_BEFORE:
        return _slot_before(data)
    whole, end = data[: _FORMAT.size], _FORMAT.size + _CRC.size
    if data[:8] != _MAGIC or len(data) < end or _CRC.unpack_from(data, _FORMAT.size)[0] != zlib.crc32(whole):
        return Beside()
    _, number, token, since, salts, base_number, base_token = _FORMAT.unpack(whole)
    base = Mark(number=base_number, token=base_token)
    return Beside(mark=Mark(number=number, token=token), since=since, salts=salts, base=base)


def _slot_before(data: bytes) -> Beside:
    """What an earlier version has written, which knew no tokens and no salts."""
    if len(data) < _BEFORE.size + _CRC.size:
        return Beside()
    whole = data[: _BEFORE.size]
    _, number = _BEFORE.unpack(whole)
    is_whole = _CRC.unpack_from(data, _BEFORE.size)[0] == zlib.crc32(whole)
    return Beside(mark=Mark(number=number)) if is_whole else Beside()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
