"""The lock that decides who is the daemon of a home, and the folders that cannot be one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from rund.errors import BusyError, InvalidError, UnsupportedError

# File systems on which SQLite's log and flock do not hold what they promise between machines.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "beegfs", "gpfs"}
)

# SQLite takes 512 bytes, with the name of its file and of what it keeps beside that.
_LONGEST = 490

# A daemon that is killed while it starts a process leaves its locks to that one until it has executed its program.
_LEFT_OVER = 10.0  # seconds that a lock of a process that is gone is waited for
_LOOK = 0.02  # seconds between two tries


@contextlib.contextmanager
def locked_home(lock: Path) -> Iterator[None]:
    """Hold the lock of a home; raises `BusyError` if another daemon holds it, `UnsupportedError` if it is no file.

    The file is never removed, for a lock on a removed file excludes nobody.  Somebody else may remove it, so the
    folder is locked as well.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    folder = os.open(lock.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsupportedError(f"{lock} is no regular file: move it away")
        deadline = time.monotonic() + _LEFT_OVER
        while not (_take(descriptor) and _take(folder)):
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            if time.monotonic() > deadline or _lives(holder):
                raise BusyError(
                    f"a daemon (pid {holder or 'unknown'}) already serves {lock.parent}: use it, or set RUND_HOME"
                )
            select.select((), (), (), _LOOK)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(folder)
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether the lock on ``descriptor`` is this process's now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(holder: str) -> bool:
    """Whether the process that wrote its number ``holder`` into the lock is there."""
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError):
        return False  # it has not written it yet
    except PermissionError:
        pass
    return True


def check_length(home: Path) -> None:
    """Raise `InvalidError` if the path of ``home`` leaves no room for the names of SQLite's files in it."""
    length = len(os.fsencode(home))
    if length > _LONGEST:
        raise InvalidError(
            f"the path of the home has {length} bytes, and SQLite takes {_LONGEST} at most:"
            " set RUND_HOME to a shorter one"
        )


def check_file_system(home: Path) -> None:
    """Raise `UnsupportedError` if ``home`` lies, or would lie, on a network file system."""
    present = next(folder for folder in (home, *home.parents) if folder.exists())
    kind = _file_system(present.stat().st_dev, Path("/proc/self/mountinfo").read_text("utf-8", "replace"))
    if kind in _NETWORK:
        raise UnsupportedError(
            f"{home} is on a network file system ({kind}), where locks do not hold: set RUND_HOME to a local folder"
        )


def _file_system(device: int, mountinfo: str) -> str | None:
    """The type of the file system with this device number, from the text of ``/proc/self/mountinfo``."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        fields = mount.split()
        if len(fields) > 2 and fields[2] == wanted and rest:
            return rest.split()[0]
    return None
