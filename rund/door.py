"""The daemon's socket: opened, written down for clients, and opened again if somebody removes it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio

from rund.errors import RundError, UnsupportedError
from rund.operations.regular_file import read_start
from rund.server.folder_watch import FolderWatch
from rund.server.listener import Listener, listen, remove
from rund.server.serve import Server

# A runtime folder goes with the user's last session, and a daemon that outlives it must be found again.
_LOOK: Final = 5.0  # seconds between looks while something is amiss, or the system gives no watch
_PAUSE: Final = 0.1  # seconds from opening it again to the next look: somebody may remove it all the time

_LONGEST_NOTE: Final = 4096  # bytes

_log = logging.getLogger(__name__)


class Door:
    """The socket at ``path``; the file ``note`` tells clients where it is."""

    def __init__(self, path: Path, note: Path, inherited: Listener | None = None) -> None:
        """``inherited`` is the socket at ``path`` that systemd handed over; it stays there when the daemon ends."""
        self._path = path
        self._note = note
        self._inherited = inherited
        self._home = _identity(note.parent, follow=True)
        self._missed = math.inf  # since when the note has not been there, by the loop's clock
        self._listener: Listener

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Listen, on the socket that systemd handed over or on one of its own; raises as `listen`."""
        self._listener = self._inherited or listen(self._path)
        self._write_note()
        try:
            yield
        finally:
            if self._listener is not self._inherited:
                remove(self._path, self._listener)
            self._listener.close()

    async def serve(self, server: Server) -> None:
        """Let clients in until cancelled, also those that come after the socket or its note was removed.

        Raises `UnsupportedError` when the home is gone: another daemon may serve what comes in its place.
        """
        watch = FolderWatch((self._path, self._note), _LOOK)
        pause = 0.0
        try:
            while True:
                listener = self._listener
                try:
                    async with anyio.create_task_group() as accepting:
                        accepting.start_soon(server.accept, listener)
                        await anyio.sleep(pause)
                        await self._open_when_gone(watch)
                        accepting.cancel_scope.cancel()
                    server.accept_last(listener)
                finally:
                    if listener is not self._listener:
                        listener.close()
                pause = _PAUSE
        finally:
            watch.close()

    async def _open_when_gone(self, watch: FolderWatch) -> None:
        """Wait until the socket is gone, and is there again."""
        while True:
            watch.renew()
            self._check_home()
            if self._gone() and self._open_again():
                return
            await watch.changed(math.inf if self._is_found() else _LOOK)

    def _is_found(self) -> bool:
        """Whether clients find the socket; where the note has been gone for a while, it is written again.

        Not at once: the home may be about to be removed, and it goes first.
        """
        if self._gone():
            return False
        if os.path.exists(self._note):  # noqa: PTH110 - no error of a home that is closed to its owner
            self._missed = math.inf
            return True
        now = anyio.current_time()
        self._missed = min(self._missed, now)
        if now < self._missed + _LOOK:
            return False
        self._missed = now  # what fails is tried again after as long: that it was tried wakes the watch
        self._write_note()
        return os.path.exists(self._note)  # noqa: PTH110

    def _check_home(self) -> None:
        home = self._note.parent
        if _identity(home, follow=True) != self._home:
            raise UnsupportedError(
                f"the home {home} was removed or moved: put it back and start rund again; runs go on"
            )

    def _gone(self) -> bool:
        return _identity(self._path) != self._listener.file

    def _open_again(self) -> bool:
        try:
            self._listener = listen(self._path)
        except RundError as error:
            _log.warning("the socket is gone, and cannot be made again: %s", error.message)
            return False
        self._write_note()
        _log.warning("the socket was gone: it is at %s again", self._path)
        return True

    def _write_note(self) -> None:
        """Replace the note in one step; a disk too full for it hinders no start, for the path is what it was."""
        note = f"{self._path}\n".encode()
        try:
            if read_start(self._note, _LONGEST_NOTE) == note:
                return
        except OSError:
            pass  # there is none yet
        passing = None
        try:
            descriptor, passing = tempfile.mkstemp(dir=self._note.parent, prefix=f".{self._note.name}-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(note)
            Path(passing).rename(self._note)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._note, error.strerror)
            if passing is not None:
                with contextlib.suppress(OSError):
                    Path(passing).unlink()


def _identity(path: Path, *, follow: bool = False) -> tuple[int, int] | None:
    """Device and inode of what is at ``path``, or where it leads to; None if nothing is, or it cannot be told."""
    try:
        found = path.stat(follow_symlinks=follow)
    except OSError:
        return None
    return found.st_dev, found.st_ino
