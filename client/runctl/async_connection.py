"""One connection to the daemon, for async code: for one task at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread

from runctl.connection import ShortPath, check_server
from runctl.exchange import Exchange
from runctl.failures import NoDaemonError
from runctl.patience import Patience, is_alive
from runctl.reach import next_path

_CHUNK = 262_144
_LOOK = 1.0  # seconds


class AsyncConnection:
    """Asks and waits for the answer; when that is cancelled the connection is of no further use.

    When its daemon goes, what has no answer is asked of the next one, which ``start`` allows to be started.
    """

    def __init__(self, stream: anyio.abc.SocketStream, path: str, environ: Mapping[str, str], *, start: bool) -> None:
        self._stream = stream
        self._path = path
        self._environ = environ
        self._start = start
        self._exchange = Exchange()

    @property
    def settled(self) -> bool:
        """Whether every request has been answered."""
        return self._exchange.settled

    def fileno(self) -> int:
        """The descriptor of the stream."""
        raw = anyio.abc.SocketAttribute.raw_socket
        return self._stream.extra(raw).fileno()  # noqa: S610 - anyio's extra attributes, nothing of SQL

    async def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - typed where it is asked
        """Send a request and wait for its result; raises `rund.errors.RundError` for every answer but success."""
        number, data = self._exchange.request(method, params)
        await self._send(data)
        while not self._exchange.answered(number):
            data = await self._receive(number)
            try:
                self._exchange.receive(data)
            except NoDaemonError as error:
                await self._begin_again(error)
        return self._exchange.take(number)

    async def _send(self, data: bytes) -> None:
        # If the daemon has closed it, maybe after telling why, what follows will meet both.
        with suppress(anyio.BrokenResourceError):
            await self._stream.send(data)

    async def _receive(self, number: int) -> bytes:
        """What comes; raises `NoDaemonError` if nothing does and there is no life in the daemon."""
        patience = Patience(self._path, None, waits=self._exchange.waits(number))
        while True:
            with anyio.move_on_after(_LOOK):
                try:
                    return await self._stream.receive(_CHUNK)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return b""
            if patience.is_due(_LOOK):
                patience.take(lives=await anyio.to_thread.run_sync(is_alive, self._path, abandon_on_cancel=True))

    async def _begin_again(self, error: NoDaemonError) -> None:
        data = self._exchange.begin_again(error)
        find = partial(next_path, self._environ, error, start=self._start)
        self._path = await anyio.to_thread.run_sync(find, abandon_on_cancel=True)
        await anyio.aclose_forcefully(self._stream)
        self._stream = await _open_stream(self._path)
        await self._send(data)

    async def aclose(self) -> None:
        """End the connection at once; what it still waits for is given up."""
        await anyio.aclose_forcefully(self._stream)


async def open_connection(path: str, environ: Mapping[str, str], *, start: bool) -> AsyncConnection:
    """A connection to the daemon at ``path``, which was found to be the right one.

    Raises `NoDaemonError` if it has gone meanwhile.
    """
    return AsyncConnection(await _open_stream(path), path, environ, start=start)


async def _open_stream(path: str) -> anyio.abc.SocketStream:
    try:
        with ShortPath(path) as short:
            stream = await anyio.connect_unix(short)
    except OSError as error:
        raise NoDaemonError(f"the daemon at {path} has gone: {error.strerror or error}") from None
    try:
        check_server(stream.extra(anyio.abc.SocketAttribute.raw_socket))  # noqa: S610 - anyio's extra attributes
    except OSError as error:
        await anyio.aclose_forcefully(stream)
        raise NoDaemonError(f"the socket {path} cannot be used: {error.strerror or error}") from None
    return stream
