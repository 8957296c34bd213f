"""The listening socket: made where no other user can interfere, and never the sign of who is the daemon.

Which process is the daemon is decided by a lock on the home.  Whoever has it may replace the socket that it finds, and
does so in one step: clients find the old one or the new one, never none that is half made.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from rund.errors import FullError, InternalError, InvalidError, RundError
from rund.private_folder import make_private_folder

_BACKLOG = 512
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What stays as it is until somebody changes it; all else may pass by itself: a want of memory or descriptors, say.
_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EROFS,
    }
)
_FIRST_INHERITED = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


class Listener(socket.socket):
    """A listening socket that knows which file is its own; None if there is none."""

    file: tuple[int, int] | None = None  # device and inode


def listen(path: Path) -> Listener:
    """A socket listening at ``path``, in place of any that is there; for the owner alone.

    Its folder is made if it is missing.  Raises `InvalidError` if the folder is not the owner's alone to write, or the
    path cannot be used for a socket; `FullError` or `InternalError` for what may pass by itself.
    """
    folder = _open_folder(path.parent)
    try:
        return _listen_in(folder, path)
    except OSError as error:
        raise _refusal(f"cannot listen at {path}", error, "set RUND_SOCKET to another path") from error
    finally:
        os.close(folder)


def remove(path: Path, listener: socket.socket) -> None:
    """Unlink ``path`` if it still is the file of ``listener``; another daemon's socket is left alone."""
    own = listener.file if isinstance(listener, Listener) else None
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.lstat()
        if own == (found.st_dev, found.st_ino):
            path.unlink()


def inherited_listener(env: Mapping[str, str]) -> Listener | None:
    """The socket that systemd handed over, or None if it handed over none to this process.

    Raises `InvalidError` if what it handed over is not one listening Unix stream socket.
    Source: sd_listen_fds(3).
    """
    if env.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = env.get("LISTEN_FDS", "")
    if count != "1":
        raise InvalidError(
            f"systemd handed over {count or 'no'} sockets: the socket unit of rund has one ListenStream="
        )
    try:
        listener = Listener(fileno=_FIRST_INHERITED)
        accepts = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InvalidError(f"what systemd handed over is no socket: {error.strerror}; see its socket unit") from error
    if not accepts or listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise InvalidError("systemd handed over what is no Unix stream socket: use ListenStream= with a path")
    listener.set_inheritable(False)
    path = listener.getsockname()
    if not isinstance(path, str) or not path.startswith("/"):
        listener.close()
        raise InvalidError("systemd handed over a socket without a file: use ListenStream= with a path")
    with contextlib.suppress(OSError):  # it is gone already, and will be made again
        found = os.lstat(path)
        listener.file = found.st_dev, found.st_ino
    return listener


def _open_folder(folder: Path) -> int:
    """A descriptor of ``folder``, which is made if it is missing.  Raises as `listen`."""
    try:
        make_private_folder(folder)
        opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(f"cannot use {folder} for the socket", error, "set RUND_SOCKET to a path elsewhere") from error
    found = os.fstat(opened)
    if found.st_uid != os.geteuid():
        os.close(opened)
        raise InvalidError(f"{folder} belongs to another user: set RUND_SOCKET to a path in a folder of your own")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        os.close(opened)
        raise InvalidError(f"others may write to {folder}: chmod go-w it, or set RUND_SOCKET to a path elsewhere")
    return opened


def _refusal(what: str, error: OSError, todo: str) -> RundError:
    reason = f"{what}: {error.strerror or error}"
    if error.errno in _FULL:
        return FullError(f"{reason}: free some space there, or {todo}")
    if error.errno in _LASTING:
        return InvalidError(f"{reason}; {todo}")
    return InternalError(f"{reason}: try again, or {todo}")


def _listen_in(folder: int, path: Path) -> Listener:
    """Bound in the open ``folder`` under a passing name, then renamed to that of ``path``.

    An address of a Unix socket has 107 bytes at most; through /proc/self/fd it is short however long the path is.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    passing = f".rund-{os.getpid()}"
    listener = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(passing, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{passing}")
        try:
            found = os.stat(passing, dir_fd=folder, follow_symlinks=False)
            listener.file = found.st_dev, found.st_ino
            listener.listen(_BACKLOG)
            listener.settimeout(0)
            os.rename(passing, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(passing, dir_fd=folder)
            raise
    except OSError:
        listener.close()
        raise
    return listener
