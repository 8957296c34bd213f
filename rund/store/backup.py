"""Copies the database into a single file, whole or not at all, while changes go on.

Rules:

- One committed state is copied, a part at a time; writing is never held up by it.
- The copy is made under another name in the same folder, for its owner alone, looked through, and made durable; then
  only it gets its name.  A kill before leaves what was there, and a file with that other name.
- What is no database is never replaced.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rund.errors import FullError, InternalError, InvalidError
from rund.store.connection import open_reader
from rund.store.reserve import is_full

HALF: Final = ".part-"  # what follows the hidden name of a copy that is being made
_MAGIC: Final = b"SQLite format 3\0"
_PAGES: Final = 512  # copied in one step
_STEPS: Final = 100_000  # of SQLite's machine, between two questions whether to go on


def back_up(database: Path, target: Path, *, force: bool, proceed: Callable[[], bool]) -> int:
    """Copy ``database`` to ``target``; answers the bytes of the copy.

    ``force``: replace a database that is there.  ``proceed`` is asked between the steps: False gives up.  Raises
    `InvalidError` for a target that will not do, `FullError`, or `InternalError`; then ``target`` is what it was.
    """
    check_target(database, target, force=force)
    half = target.parent / f".{target.name}{HALF}{secrets.token_hex(4)}"
    try:
        os.close(os.open(half, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            _copy(database, half, proceed)
            size = _made_durable(half)
            check_target(database, target, force=force)  # it may have come to be meanwhile
            _name(half, target, force=force)
        finally:
            for path in (half, *(half.with_name(half.name + end) for end in ("-journal", "-wal", "-shm"))):
                path.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise _failed(error, target) from None
    return size


def check_target(database: Path, target: Path, *, force: bool) -> None:
    """Raise `InvalidError` for a ``target`` that is not to be written."""
    home = database.parent.resolve()
    try:
        folder = target.parent.resolve(strict=True)
        if not folder.is_dir():
            raise NotADirectoryError
    except OSError:
        raise InvalidError(f"path: there is no folder {target.parent}: make it first", field="path") from None
    if home in (folder, *folder.parents) and folder != home / "backups":
        raise InvalidError(f"path: {target} is within rund's home: give a file elsewhere", field="path")
    if not target.name or target.is_dir():
        raise InvalidError(f"path: {target} is a folder: give the name of a file in it", field="path")
    if not os.path.lexists(target):
        return
    if not force:
        raise InvalidError(f"path: {target} is there already: give another name, or --force", field="path")
    if _same_file(target, database):
        # Not even opened: closing it again would drop SQLite's locks on the database.
        raise InvalidError(f"path: {target} is the database itself: give another name", field="path")
    if not _is_database(target):
        raise InvalidError(
            f"path: {target} is no database, and is not replaced: give another name, or remove it first", field="path"
        )


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.stat())
    except OSError:
        return False


def _is_database(path: Path) -> bool:
    """Whether a regular file begins as a database; what is a link, a device or a pipe is not even opened."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _copy(database: Path, half: Path, proceed: Callable[[], bool]) -> None:
    def step(_status: int, _left: int, _total: int) -> None:
        if not proceed():
            raise InterruptedError("the daemon is stopping")

    source = open_reader(database)
    try:
        # One state for all steps: without it each change meanwhile would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        copy = sqlite3.connect(half, isolation_level=None)
        try:
            copy.execute("PRAGMA synchronous = OFF")  # flushed once, when it is whole
            source.backup(copy, pages=_PAGES, progress=step, sleep=0)
        finally:
            copy.close()
    finally:
        source.close()
    _look_through(half, proceed)


def _look_through(path: Path, proceed: Callable[[], bool]) -> None:
    """Make a copy a database of one file, and raise `sqlite3.DatabaseError` if it is damaged."""
    copy = sqlite3.connect(path, isolation_level=None)
    try:
        copy.set_progress_handler(lambda: not proceed(), _STEPS)
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        copy.close()
    if found != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged: {' '.join(found.split())}")


def _made_durable(half: Path) -> int:
    descriptor = os.open(half, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _name(half: Path, target: Path, *, force: bool) -> None:
    if force:
        half.rename(target)
    else:
        try:
            os.link(half, target)  # unlike a renaming it replaces nothing that came to be meanwhile
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            half.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the file system can."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failed(error: OSError | sqlite3.Error, target: Path) -> InvalidError | FullError | InternalError:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, InterruptedError) or code == sqlite3.SQLITE_INTERRUPT:
        return InternalError("the daemon is stopping: no backup was made")
    if isinstance(error, FileExistsError):
        return InvalidError(f"path: {target} is there already: give another name, or --force", field="path")
    full = is_full(error) if isinstance(error, OSError) else code is not None and code & 0xFF == sqlite3.SQLITE_FULL
    if full:
        return FullError(f"the disk of {target} is full: no backup was made; free some space, or give another disk")
    if isinstance(error, OSError):
        return InvalidError(f"path: {target} cannot be written: {str(error.strerror or error).lower()}", field="path")
    return InternalError(f"no backup was made ({error}): see `runctl doctor`")
