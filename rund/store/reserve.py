"""A little room on the disk, held for what must be written when there is no other.

Rules:

- It is a file of zeros.  When the disk is full it is given up for the database's log, in one breath: whoever else
  writes to a full disk takes what is free at once.
- While it is short, only what is urgent is written; it is made again as soon as there is room.
- Where it cannot be had for another reason than a full disk, rund does without it, and says so once.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SIZE: Final = 1_048_576  # bytes
_BESIDE: Final = 262_144  # bytes that must be free besides: SQLite's files beside the database need some to be opened
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger(__name__)


def is_full(error: OSError) -> bool:
    """Whether the disk, or what the user may use of it, is full."""
    return error.errno in _FULL


class Reserve:
    """The reserve in the file at ``path``.  Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.short = False  # known to be missing, for want of room

    def make(self) -> bool:
        """Take the room if there is any; whether nothing is short now."""
        try:
            with self._opened() as file:
                if not _is_whole(file):
                    _take_room(file)
        except OSError as error:
            self.short = is_full(error)
            if not self.short:
                _log.warning("there is no reserve for a full disk: %s: %s", self._path, error.strerror)
        else:
            self.short = False
        return not self.short

    def give_up(self) -> bool:
        """Give the room back to the disk; whether there was any."""
        try:
            with self._opened() as file:
                held = os.fstat(file).st_blocks > 0
                os.ftruncate(file, 0)
                os.fsync(file)  # a file system with a journal gives back what is freed when that is written
        except OSError:
            return False
        self.short = self.short or held
        return held

    def give_to(self, log: Path) -> bool:
        """Give the room to the database's log, where SQLite writes over zeros; whether there was any to give."""
        if not self.give_up():
            return False
        _log.warning("the disk is full: stops, pauses, deletions and ends use what was held for them")
        try:
            # SQLite holds no lock on its log, so that closing this drops none.
            file = os.open(log, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.posix_fallocate(file, os.fstat(file).st_size, SIZE)
            finally:
                os.close(file)
        except OSError as error:
            _log.warning("the log could not be given the room (%s)", error.strerror)
        return True

    @contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(self._path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            yield file
        finally:
            os.close(file)


def _is_whole(file: int) -> bool:
    found = os.fstat(file)
    return found.st_size >= SIZE and found.st_blocks * 512 >= SIZE


def _take_room(file: int) -> None:
    """Raises `OSError`; then nothing is taken."""
    free = os.fstatvfs(file)
    if free.f_bavail * free.f_frsize < SIZE + _BESIDE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        os.posix_fallocate(file, 0, SIZE)
    except OSError:
        os.ftruncate(file, 0)  # what was had of it is of no use
        raise
