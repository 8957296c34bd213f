"""Whether a folder is a home that may be looked over: else nothing in it is touched."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from rund.doctor.finding import Finding, note, wrong
from rund.errors import RundError
from rund.home import check_file_system, check_length

# One of these makes a folder a home.
_MARKS: Final = ("rund.db", "rund.number", "rund.db-wal", "backups", "damaged")


def stranger(home: Path) -> Finding | None:
    """Why there is nothing to look over in ``home``; None if it is a home of this user."""
    try:
        status = home.stat()
        names = {path.name for path in home.iterdir()} if stat.S_ISDIR(status.st_mode) else None
    except FileNotFoundError:
        return note("home", f"there is no home at {home} yet", "the first `runctl run` makes it")
    except OSError as error:
        return _unseen(home, error)
    if names is None:
        return wrong("home", f"{home} is no folder", "set RUND_HOME to a folder")
    if status.st_uid != os.geteuid():
        return wrong("home", f"{home} belongs to another user (uid {status.st_uid})", "set RUND_HOME to one of yours")
    if not names & set(_MARKS) and not {"runs", "attempts", "sources"} <= names:
        if not names - {"lock", "start.lock", "rund.log"}:
            return note("home", f"there is no store in {home} yet", "the first `runctl run` makes it")
        return wrong("home", f"{home} holds other things and no store of rund", "set RUND_HOME to a folder of its own")
    try:
        check_length(home)
        check_file_system(home)
    except RundError as error:
        what, _, todo = error.message.partition(": ")
        return wrong("home", what, todo)
    return None


def _unseen(home: Path, error: OSError) -> Finding:
    with contextlib.suppress(OSError):
        status = home.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & stat.S_IRUSR:
            # Nobody sees whether it is a home: its owner opens it.
            return wrong("home", f"{home} is closed to its owner", f"`chmod 700 {home}`, then again")
    return wrong("home", f"{home} cannot be looked into: {_words(error)}", "see who owns it, or set RUND_HOME")


def daemon_there(home: Path) -> tuple[bool, int | None]:
    """Whether a daemon holds the lock of ``home``, and its pid as far as it is written there.  Nothing is made."""
    for path in (home / "lock", home):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # no lock: no daemon; whatever else it is, the folders' check tells
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True, _pid(home / "lock")
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return False, None


def _pid(lock: Path) -> int | None:
    try:
        return int(lock.read_text("ascii").strip())
    except (OSError, ValueError):
        return None


def writable(home: Path) -> OSError | None:
    """Write and flush some bytes in ``home`` that nobody ever sees; answers what hindered it."""
    try:
        try:
            descriptor = os.open(home, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
            return None  # a file system that has none
        try:
            os.write(descriptor, b"\0" * 4096)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error
    return None


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
