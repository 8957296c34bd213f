"""Who is let in, and how many."""

from __future__ import annotations

import logging
import math
import os
import socket
import struct
from collections.abc import Callable

import anyio

from rund.errors import FullError
from rund.handlers.peer import Answerer
from rund.protocol.encoding import encode_notification
from rund.server.account import Held, Ledger
from rund.server.arrivals import Arrivals
from rund.server.gate import Gate
from rund.server.limits import ServerLimits
from rund.server.session import Session
from rund.server.stream import Stream
from rund.server.turning_away import turn_away

logger = logging.getLogger(__name__)


class Doorkeeper:
    """Knows all clients of the daemon, by whichever socket they came; a session's fault stays in it.

    It is made, used and closed in the event loop.
    """

    def __init__(self, answerer: Answerer, limits: ServerLimits, is_closing: Callable[[], bool]) -> None:
        """Raises OSError if there is no descriptor for it."""
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
        """Whether ``client`` is the daemon's own user, and there is room: then it has its place, until it is served.

        Who is not admitted is told, and gone.
        """
        client.settimeout(0)
        uid = _peer_uid(client)
        if uid != os.geteuid():
            logger.warning("user %s tried to connect, and may not", uid)
            client.close()
            return False
        if self._clients < self._limits.clients:
            self._told_full = False
            self._clients += 1
            return True
        full = FullError(f"the daemon serves {self._clients} clients, as many as it may: close one first")
        if not self._told_full:
            logger.warning("a client was turned away: %s", full.message)
            self._told_full = True
        turn_away(client, full)
        return False

    def close(self) -> None:
        """Let go of what it has, when there is no client any more."""
        self._arrivals.close()

    async def serve_client(self, client: socket.socket) -> None:
        """Serve one client that was admitted to its end; raises nothing of its own."""
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


def _peer_uid(client: socket.socket) -> int | None:
    """The user at the other end, as the kernel noted it when it connected; None if that cannot be told."""
    credentials = struct.Struct("3i")  # pid, uid, gid
    try:
        packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    except OSError:
        return None
    uid: int = credentials.unpack(packed)[1]
    return uid
