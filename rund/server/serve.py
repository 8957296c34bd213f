"""The accept loop: it goes on whatever one client does, and however few descriptors are left."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.abc
import anyio.lowlevel

from rund.handlers.peer import Answerer
from rund.server.doorkeeper import Doorkeeper
from rund.server.limits import ServerLimits
from rund.server.reserve import Reserve

logger = logging.getLogger(__name__)
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_THE_CLIENTS = frozenset((errno.ECONNABORTED, errno.EPROTO, errno.EPERM))  # of one client that is gone already
_LAST = 512  # as many as may wait at a listener
_PAUSE = 0.02  # seconds, while descriptors are short


def _stays() -> bool:
    return False


class Server:
    """Serves the clients of one listener after another; to what they may use it is one and the same."""

    def __init__(self, doorkeeper: Doorkeeper, reserve: Reserve, clients: anyio.abc.TaskGroup) -> None:
        self._doorkeeper = doorkeeper
        self._reserve = reserve
        self._clients = clients

    async def accept(self, listener: socket.socket) -> None:
        """Let in who comes to ``listener``, until cancelled; whoever is in then stays.

        Raises OSError if the listener itself cannot be used.
        """
        listener.settimeout(0)
        while True:
            self._let_in(await _next_client(listener, self._reserve))
            await anyio.lowlevel.checkpoint()  # many who connect hold up none who are connected

    def accept_last(self, listener: socket.socket) -> None:
        """Let in who waits at ``listener`` now, before it is closed, and where nothing else accepts from it."""
        with contextlib.suppress(OSError):  # nobody waits any more, or there is no descriptor for who does
            for _ in range(_LAST):
                self._let_in(listener.accept()[0])

    def _let_in(self, client: socket.socket) -> None:
        if self._doorkeeper.admits(client):
            self._clients.start_soon(self._doorkeeper.serve_client, client)


@contextlib.asynccontextmanager
async def open_server(
    answerer: Answerer, *, limits: ServerLimits, is_closing: Callable[[], bool] = _stays
) -> AsyncIterator[Server]:
    """A server; left, all its clients are cancelled, and where ``is_closing`` then, told not to expect another.

    Raises OSError if there are no descriptors for it.
    """
    with (
        contextlib.closing(Reserve()) as reserve,
        contextlib.closing(Doorkeeper(answerer, limits, is_closing)) as doorkeeper,
    ):
        async with anyio.create_task_group() as clients:
            yield Server(doorkeeper, reserve, clients)
            clients.cancel_scope.cancel()


async def _next_client(listener: socket.socket, reserve: Reserve) -> socket.socket:
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
