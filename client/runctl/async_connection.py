"""One connection to the daemon, for async code: for one task at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc

from runctl.connection import ShortPath
from runctl.exchange import Exchange
from runctl.failures import NoDaemonError
from runctl.reach import greeting

_CHUNK = 262_144


class AsyncConnection:
    """Asks and waits for the answer; when that is cancelled the connection is of no further use."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
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
        # If the daemon has closed it, maybe after telling why, what follows will meet both.
        with suppress(anyio.BrokenResourceError):
            await self._stream.send(data)
        while not self._exchange.answered(number):
            try:
                data = await self._stream.receive(_CHUNK)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                data = b""
            self._exchange.receive(data)
        return self._exchange.take(number)

    async def aclose(self) -> None:
        """End the connection at once; what it still waits for is given up."""
        await anyio.aclose_forcefully(self._stream)


async def open_connection(path: str, environ: Mapping[str, str]) -> AsyncConnection:
    """A connection to the daemon at ``path``; raises `NoDaemonError` if it has gone meanwhile."""
    try:
        with ShortPath(path) as short:
            connection = AsyncConnection(await anyio.connect_unix(short))
    except OSError as error:
        raise NoDaemonError(f"the daemon at {path} has gone: {error.strerror or error}") from None
    hello = greeting(environ)
    if hello is not None:
        try:
            await connection.call("hello", **hello)
        except BaseException:
            await connection.aclose()
            raise
    return connection
