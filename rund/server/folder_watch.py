"""Waits until something happens to a path, without looking again and again: Linux's inotify.

Source: inotify(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import anyio

_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC are the same numbers
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
_ONLYDIR, _MASK_ADD = 0x1000000, 0x20000000  # the same folder may be watched for two reasons
# A folder that is removed or unmounted tells it itself; that it was moved, too.
_FOLDER: Final = _DELETE_SELF | _MOVE_SELF | _ONLYDIR | _MASK_ADD
_NAMES: Final = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE

_log = logging.getLogger(__name__)


class FolderWatch:
    """Tells that ``paths``, or the folders that they lie in, came or went.

    Where the system gives no such watch it tells so every ``interval`` seconds, for want of better.
    """

    def __init__(self, paths: Iterable[Path], interval: float) -> None:
        self._paths = list(paths)
        self._interval = interval
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int | None = self._libc.inotify_init1(_NONBLOCK_CLOEXEC)
        if self._descriptor == -1:
            _log.info("sockets are looked at every %g s: %s", interval, os.strerror(ctypes.get_errno()))
            self._descriptor = None

    def renew(self) -> None:
        """Watch the folders that are there now.  What is looked at after that is not missed by `changed`."""
        for path in self._paths:
            self._add(path.parent, _FOLDER | _NAMES)
            for folder in path.parent.parents:
                self._add(folder, _FOLDER)
            for folder in (path.parent, *path.parent.parents):
                if os.path.islink(folder):  # noqa: PTH114 - it may be made to lead elsewhere; or cannot be looked at
                    self._add(folder.parent, _FOLDER | _NAMES)

    def _add(self, folder: Path, mask: int) -> None:
        if self._descriptor is not None:  # a folder that cannot be watched is gone, or another user's
            self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)

    async def changed(self, most: float = math.inf) -> None:
        """Wait until something has happened since the last call, or for ``most`` seconds; much at once is one."""
        if self._descriptor is None:
            await anyio.sleep(self._interval)
            return
        with anyio.move_on_after(most):
            await anyio.wait_readable(self._descriptor)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 65_536):
                pass

    def close(self) -> None:
        """Let go of it; nobody may wait for it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
