"""The daemon's log: standard error, kept bounded where that is the file in the home that a client has opened for it."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

LIMIT: Final = 4 * 1_048_576  # bytes of a file; there is one before it
_STDOUT, _STDERR = 1, 2
_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"


class LogHandler(logging.Handler):
    """Writes each record to standard error at once; a disk that is too full for it hinders nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._path: Path | None = None
        self._limit = LIMIT

    def bound(self, path: Path, *, limit: int) -> None:
        """See `bound_log`."""
        with contextlib.suppress(OSError):
            found, own = path.stat(), os.fstat(_STDERR)
            if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
                self._path, self._limit = path, limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 - as logging has it: a fault of a message is told, and ends nothing
            self.handleError(record)
            return
        with contextlib.suppress(OSError):
            os.write(_STDERR, line)
            if self._path is not None and os.fstat(_STDERR).st_size > self._limit:
                _begin_anew(self._path)


def _begin_anew(path: Path) -> None:
    """Go on in a new file; the one before is kept beside it, and takes the place of that before."""
    before = path.with_name(f"{path.name}.1")
    try:
        path.rename(before)
        new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        os.ftruncate(_STDERR, 0)  # bounded it must be
        return
    old = os.fstat(_STDERR)
    for number in (_STDERR, _STDOUT):
        found = os.fstat(number)
        if (found.st_dev, found.st_ino) == (old.st_dev, old.st_ino):
            os.dup2(new, number)
    os.close(new)


def set_up_log() -> None:
    """Make the root logger log to standard error."""
    logging.basicConfig(level=logging.INFO, handlers=[LogHandler()])


def bound_log(path: Path, *, limit: int = LIMIT) -> None:
    """Begin a new file each time that at ``path`` has ``limit`` bytes, if it is what standard error goes to."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            handler.bound(path, limit=limit)
