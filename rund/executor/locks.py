"""Locks that their holder's death releases: flock(2) on files that are never unlinked while in use.

The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import fcntl
import functools
import os
import stat
from typing import Final

BOOT_ID_FILE: Final = "/proc/sys/kernel/random/boot_id"
_PLAIN: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a symbolic link nor a FIFO can hold us up
MODE: Final = 0o600  # of every file that an attempt's records and locks are made of


class NotAFileError(OSError):
    """Something other than a regular file stands where a record or lock belongs."""


def open_plain(path: str | os.PathLike[str]) -> int:
    """A descriptor to read a regular file; raises `OSError` (`NotAFileError` if it is something else)."""
    descriptor = os.open(path, os.O_RDONLY | _PLAIN)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise NotAFileError("it is not a regular file")


def hold_new(path: str | os.PathLike[str], content: bytes) -> int:
    """Make a lock file that holds ``content``, and lock it; answers the descriptor that holds it.

    Raises `FileExistsError` if it is there, any other `OSError` if it cannot be made; what is left then, nobody holds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, content)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether a process holds the lock; a missing file is held by none.

    Raises `OSError` if that cannot be told.
    """
    try:
        descriptor = open_plain(path)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at once do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@functools.cache
def boot_id() -> str:
    """The id of the boot that runs now; raises `OSError` if it cannot be read, which only the first call can."""
    descriptor = os.open(BOOT_ID_FILE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 64).decode().strip()
    finally:
        os.close(descriptor)
