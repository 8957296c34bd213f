"""The accept loop: it goes on whatever one client does, and however few descriptors are left."""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
import struct
from collections.abc import Callable

import anyio
import anyio.lowlevel

from rund.errors import FullError, error_text
from rund.handlers.peer import Answerer
from rund.protocol.encoding import encode_notification
from rund.server.account import Held, Ledger
from rund.server.arrivals import Arrivals
from rund.server.gate import Gate
from rund.server.limits import ServerLimits
from rund.server.session import Session
from rund.server.stream import Stream

logger = logging.getLogger(__name__)
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_THE_CLIENTS = frozenset((errno.ECONNABORTED, errno.EPROTO, errno.EPERM))  # of one client that is gone already
_PAUSE = 0.02  # seconds, while descriptors are short


def _stays() -> bool:
    return False


async def serve(
    listener: socket.socket, answerer: Answerer, *, limits: ServerLimits, is_closing: Callable[[], bool] = _stays
) -> None:
    """Serve clients of ``listener`` until cancelled; where ``is_closing`` then, they are told not to expect another.

    Raises OSError if the listener itself cannot be used.
    """
    listener.settimeout(0)
    reserve = _Reserve()
    doorkeeper = _Doorkeeper(answerer, limits, is_closing)
    try:
        async with anyio.create_task_group() as tasks:
            while True:
                client = await _next_client(listener, reserve)
                if doorkeeper.admits(client):
                    tasks.start_soon(doorkeeper.serve_client, client)
                else:
                    client.close()
                await anyio.lowlevel.checkpoint()  # many who connect hold up none who are connected
    finally:
        reserve.close()
        doorkeeper.close()


class _Doorkeeper:
    """Who is let in, and how many; a session's fault stays in it."""

    def __init__(self, answerer: Answerer, limits: ServerLimits, is_closing: Callable[[], bool]) -> None:
        self._answerer = answerer
        self._is_closing = is_closing
        self._limits = limits
        self._clients = 0
        bounds = {Held.WAITING: limits.waiting_bytes, Held.SUBSCRIBED: limits.subscription_bytes}
        self._ledger = Ledger(limits.held_bytes, bounds)
        self._gate = Gate()
        self._arrivals = Arrivals()
        self._told_full = False  # the log says it once, not a thousand times

    def admits(self, client: socket.socket) -> bool:
        """Whether ``client`` is the daemon's own user, and there is room; if there is none, it is told."""
        client.settimeout(0)
        uid = _peer_uid(client)
        if uid != os.geteuid():
            logger.warning("user %s tried to connect, and may not", uid)
            return False
        if self._clients < self._limits.clients:
            self._told_full = False
            return True
        full = FullError(f"the daemon serves {self._clients} clients, as many as it may: close one first")
        if not self._told_full:
            logger.warning("a client was turned away: %s", full.message)
            self._told_full = True
        _farewell(client, full)
        return False

    def close(self) -> None:
        """Let go of what it has, when there is no client any more."""
        self._arrivals.close()

    async def serve_client(self, client: socket.socket) -> None:
        """Serve one client to its end; raises nothing of its own."""
        self._clients += 1
        try:
            stream = Stream(client, self._arrivals, write_seconds=self._limits.write_seconds)
            session = Session(stream, self._answerer, self._limits, ledger=self._ledger, gate=self._gate)
            try:
                await session.serve()
            except anyio.get_cancelled_exc_class():
                if self._is_closing():
                    stream.send_last(encode_notification("closing", ["the daemon was stopped by a client"]))
                raise
            finally:
                stream.close()
        except anyio.get_cancelled_exc_class():
            # A handler that lets a cancellation out which no scope asked for would end the whole task group.
            if anyio.current_effective_deadline() == -math.inf:
                raise
            logger.exception("a client's connection ended by a stray cancellation")
        except Exception:
            logger.exception("a client's connection ended by a fault of rund")
        finally:
            self._clients -= 1
            client.close()


class _Reserve:
    """A descriptor held back, so that with none left a client can still be accepted and turned away."""

    def __init__(self) -> None:
        self._descriptor: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def turn_away(self, listener: socket.socket) -> None:
        """Accept one client in the reserve's place, tell it why, and close it."""
        self.close()
        try:
            client, _ = listener.accept()
        except OSError:
            client = None
        if client is not None:
            _farewell(client, FullError("the daemon has no file descriptors left: close a client or raise its limit"))
            client.close()
        try:
            self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # another thread took it; tried again at the next shortage
            self._descriptor = None

    def close(self) -> None:
        """Give the descriptor up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def _next_client(listener: socket.socket, reserve: _Reserve) -> socket.socket:
    short = False
    while True:
        try:
            return listener.accept()[0]
        except (BlockingIOError, InterruptedError):
            await anyio.wait_readable(listener)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                if not short:
                    logger.warning("clients are turned away: %s", error.strerror)
                    short = True
                reserve.turn_away(listener)
                await anyio.sleep(_PAUSE)
                await anyio.wait_readable(listener)  # without descriptors, accept fails also where nobody waits
            elif error.errno not in _THE_CLIENTS:
                raise


def _peer_uid(client: socket.socket) -> int | None:
    """The user at the other end, as the kernel noted it when it connected; None if that cannot be told."""
    credentials = struct.Struct("3i")  # pid, uid, gid
    try:
        packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    except OSError:
        return None
    uid: int = credentials.unpack(packed)[1]
    return uid


def _farewell(client: socket.socket, error: FullError) -> None:
    """Tell a client why it is turned away, if it can be told at once."""
    client.settimeout(0)
    try:
        client.send(encode_notification("error", [error_text(error)]))
    except OSError:
        logger.debug("a client that was turned away could not be told")
