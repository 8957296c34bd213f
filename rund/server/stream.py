"""A client's socket: non-blocking, tried first and waited for only when it would block; every write has a deadline.

It stays among the arrivals while its client asks one thing after the other, which saves two system calls a request;
what arrives while nobody waits for it is left to the system, and waited for anew when somebody does.  One
task alone reads, and one at a time writes.  `Stream.close` is called when no task uses the stream any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket

import anyio

from rund.server.arrivals import Arrivals

RECEIVE_BYTES = 65_536


class PeerGoneError(Exception):
    """The client has gone, or did not read in time; its connection is at its end."""


class Stream:
    """Whole messages out, bytes in.  It is made in the event loop."""

    def __init__(self, connected: socket.socket, arrivals: Arrivals, *, write_seconds: float) -> None:
        connected.settimeout(0)
        self._socket = connected
        self._arrivals = arrivals
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None  # somebody waits for bytes
        self._arrived: bytes | None = None
        self._registered = False
        self._write_seconds = write_seconds
        self._unsent = memoryview(b"")  # of a message begun; if its writer was cancelled, it goes before any other
        self._gone = False
        self._drained = True

    async def receive(self) -> bytes:
        """What has arrived, as soon as there is any; b"" is the end of the client's stream.

        Raises `PeerGoneError` if the connection is broken.
        """
        data = None if self._drained else self._receive_now()
        while data is None:
            await self._wait_for_bytes()
            data, self._arrived = self._arrived, None
        self._drained = len(data) < RECEIVE_BYTES  # saves a recv that would most likely find nothing
        return data

    async def _wait_for_bytes(self) -> None:
        self._arrival = self._loop.create_future()
        if not self._registered:
            self._arrivals.add(self._socket.fileno(), self._take_bytes)
            self._registered = True
        await self._arrival

    def _take_bytes(self) -> None:
        """Called when there is something to read."""
        arrival, self._arrival = self._arrival, None
        if arrival is None or arrival.done():
            self._stop_looking()
            return
        try:
            self._arrived = self._receive_now()
        except PeerGoneError as error:
            arrival.set_exception(error)
        else:
            arrival.set_result(None)

    def _receive_now(self) -> bytes | None:
        """What has arrived; None if nothing has."""
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise PeerGoneError(f"cannot be read from: {error.strerror}") from error

    def begin(self, message: bytes) -> bool:
        """Write what the system takes at once of ``message``; answers whether there is a rest, which `finish` writes.

        One message at a time is begun and finished.  Where a `finish` was cancelled, what it left goes before the
        next message, so that none is ever cut by another.  Raises `PeerGoneError` if the connection is broken.
        """
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + message)
        else:
            sent = self._send_now(message)
            if sent == len(message):
                return False
            self._unsent = memoryview(message)[sent:]
        return True

    async def finish(self) -> None:
        """Write what is left.

        Raises `PeerGoneError` if the connection is broken, or the client does not read in time.
        """
        with anyio.move_on_after(self._write_seconds) as deadline:
            while self._unsent:
                sent = self._send_now(self._unsent)
                self._unsent = self._unsent[sent:]
                if not sent:
                    await anyio.wait_writable(self._socket)
        if deadline.cancelled_caught:
            self._gone = True
            raise PeerGoneError(f"did not read for {self._write_seconds:g} s")

    def send_last(self, message: bytes) -> None:
        """Write ``message`` if it can be written at once, for a connection that is about to be closed."""
        if not self._unsent:
            with contextlib.suppress(PeerGoneError):
                self._send_now(message)

    def _send_now(self, message: bytes | memoryview) -> int:
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

    def has_left(self) -> bool:
        """Whether the client has closed its end; one that has only said all it wants to say may still read."""
        look = select.poll()
        look.register(self._socket, 0)  # the end of both directions is told unasked
        return self._gone or bool(look.poll(0))

    def close(self) -> None:
        """Let go of the socket; may be called again."""
        self._stop_looking()
        self._socket.close()

    def _stop_looking(self) -> None:
        if self._registered:
            self._registered = False
            self._arrivals.remove(self._socket.fileno())
