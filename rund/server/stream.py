"""A client's socket: non-blocking, tried first and waited for only when it would block; every write has a deadline.

anyio's wait_readable and wait_writable raise if two tasks wait for the same end of one socket, and never return if it
is closed meanwhile.  So one task alone reads, a lock lets one task at a time wait to write, and `Stream.close` is
called when no task uses the stream any more.
"""

from __future__ import annotations

import contextlib
import socket

import anyio

RECEIVE_BYTES = 65_536


class PeerGoneError(Exception):
    """The client has gone, or did not read in time; its connection is at its end."""


class Stream:
    """Whole messages out, bytes in."""

    def __init__(self, connected: socket.socket, *, write_seconds: float) -> None:
        connected.settimeout(0)
        self._socket = connected
        self._write_seconds = write_seconds
        self._writing = anyio.Lock()
        self._unsent = memoryview(b"")  # of a message begun; if its writer was cancelled, it goes before any other
        self._gone = False
        self._drained = True

    async def receive(self) -> bytes:
        """What has arrived, as soon as there is any; b"" is the end of the client's stream.

        Raises `PeerGoneError` if the connection is broken.
        """
        if self._drained:
            await anyio.wait_readable(self._socket)
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                await anyio.wait_readable(self._socket)
            except OSError as error:
                raise PeerGoneError(f"cannot be read from: {error.strerror}") from error
            else:
                self._drained = len(data) < RECEIVE_BYTES  # saves a recv that would most likely find nothing
                return data

    async def send(self, message: bytes) -> None:
        """Write ``message``; returns when the system has all of it.

        A caller that is cancelled within it leaves the rest to the next, so that no message is ever cut by another.
        Raises `PeerGoneError` if the connection is broken, or the client does not read in time.
        """
        begun = memoryview(message)
        if not self._unsent and not self._writing.locked():
            begun = begun[self._send_now(begun) :]
            if not begun:
                return
            self._unsent, begun = begun, self._unsent
        async with self._writing:
            with anyio.move_on_after(self._write_seconds) as deadline:
                await self._flush()
                self._unsent = begun
                await self._flush()
            if deadline.cancelled_caught:
                self._gone = True
                raise PeerGoneError(f"did not read for {self._write_seconds:g} s")

    def send_last(self, message: bytes) -> None:
        """Write ``message`` if it can be written at once, for a connection that is about to be closed."""
        if not self._unsent:
            with contextlib.suppress(PeerGoneError):
                self._send_now(memoryview(message))

    async def _flush(self) -> None:
        while self._unsent:
            sent = self._send_now(self._unsent)
            self._unsent = self._unsent[sent:]
            if not sent:
                await anyio.wait_writable(self._socket)

    def _send_now(self, message: memoryview) -> int:
        """How many bytes the system took."""
        if self._gone:
            raise PeerGoneError("is gone")
        try:
            return self._socket.send(message)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._gone = True
            raise PeerGoneError(f"cannot be written to: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the socket; may be called again."""
        anyio.notify_closing(self._socket)
        self._socket.close()
