"""Keeps an attempt's output within its limit: the beginning is given back to the disk while the trial writes on.

Rules:

- What is dropped becomes a hole in the file: every byte keeps its offset, and the hole tells readers what is missing.
- Output that does not grow costs no wake-up: the next write to it is told by SIGIO.  (dnotify, not inotify: of that a
  user has 128 instances, and would need one for each trial.)
- While it grows it is looked at again before the fastest writer could have filled what is left, but never more often
  than each `_PAUSE`: what is written within that may stand on the disk beside the limit.
- On a file system that cannot punch holes nothing is dropped.

The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import Final

BLOCK: Final = 131_072  # bytes; no usual file system has larger blocks, and only whole ones are given back

_FASTEST: Final = 2**31  # bytes per second that one may write
_PAUSE: Final = (0.1, 2.0)  # seconds from one look at output that grows to the next, at least and at most
_SECTOR: Final = 512  # bytes that st_blocks counts in
_UNTOLD: Final = 5.0  # the same where no write is told
_PUNCH_HOLE: Final = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_CANNOT: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.ENODEV})


def dropped_until(size: int, dropped: int, limit: int) -> int:
    """Up to which byte the beginning of ``size`` bytes of output is not kept; ``dropped`` is where that was before.

    Once there is more than the limit, a quarter of it is made free at once.
    """
    if not limit or size - dropped <= limit:
        return dropped
    return (size - limit + limit // 4) // BLOCK * BLOCK


def drop_head(output: int, end: int) -> None:
    """Give the first ``end`` bytes of an open file back to the disk; raises `OSError`."""
    import ctypes  # a shim has it anyway, the daemon seldom needs it

    libc = ctypes.CDLL(None, use_errno=True)
    punch = getattr(libc, "fallocate64", None) or libc.fallocate
    if punch(output, _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(end)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class OutputBound:
    """Bounds one output, open for writing in the open ``directory``; a ``limit`` of 0 bounds nothing."""

    def __init__(self, output: int, *, directory: int, limit: int) -> None:
        self._output = output
        self._directory = directory
        self._limit = limit
        self._size = 0
        self._dropped = 0
        self.due = time.monotonic() + _pause(limit) if limit else None  # when to look; None: when SIGIO comes

    def wake(self) -> None:
        """SIGIO came: something in the directory was written."""
        if self._limit and self.due is None:
            self.due = time.monotonic() + _pause(self._room())

    def look_if_due(self) -> None:
        """Drop what is too much, and find out when to look again, if it is time to."""
        if self.due is None or time.monotonic() < self.due:
            return
        grown = self._grown()
        told = grown or self._ask_to_be_told()
        # What was written before it was asked for is not told.
        grown = grown or self._grown()
        self.drop()
        if not self._limit:
            self.due = None
        elif grown:
            self.due = time.monotonic() + _pause(self._room())
        else:
            self.due = None if told else time.monotonic() + _UNTOLD

    def drop(self) -> None:
        """Drop what is too much now."""
        if not self._limit:
            return
        self._grown()
        end = dropped_until(self._size, self._dropped, self._limit)
        if end <= self._dropped:
            return
        try:
            drop_head(self._output, end)
        except OSError as error:  # a full disk may hinder it, too: then it is tried at the next look
            if error.errno in _CANNOT:
                self._limit = 0
        else:
            self._dropped = end

    def _room(self) -> int:
        return self._limit - (self._size - self._dropped)

    def _grown(self) -> bool:
        """Whether its size has changed since the last look."""
        found = os.fstat(self._output)
        size = found.st_size
        if size < self._size or found.st_blocks * _SECTOR > size - self._dropped + BLOCK:
            self._dropped = 0  # the trial has truncated it, and may have written as much again
        changed, self._size = size != self._size, size
        return changed

    def _ask_to_be_told(self) -> bool:
        """Have the next write told, once, by SIGIO."""
        try:
            fcntl.fcntl(self._directory, fcntl.F_NOTIFY, fcntl.DN_MODIFY)
        except OSError:  # a kernel without dnotify
            return False
        return True


def _pause(room: int) -> float:
    shortest, longest = _PAUSE
    return min(max(room / _FASTEST, shortest), longest)
