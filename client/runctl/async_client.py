"""The Python client for async code, on any loop that anyio knows.

Each call has a connection to itself while it lasts, so a call that waits holds up no other; one that is cancelled ends
its connection, and with it what the daemon waited for.  A client belongs to the event loop that it was made in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

import anyio.to_thread

from runctl.async_connection import AsyncConnection, open_connection
from runctl.async_run import AsyncRun
from runctl.calls import (
    ListOptions,
    RestartOptions,
    RunOptions,
    list_params,
    names_of,
    restart_params,
    run_params,
)
from runctl.idle import hung_up
from runctl.reach import answering_path
from runctl.run_view import take_attrs
from rund.errors import InvalidError

if TYPE_CHECKING:
    from runctl.answers import StatusAnswer


def connect_async(*, start: bool = True) -> AsyncClient:
    """A client of the daemon that the environment means, to be entered with ``async with``.

    On entering a daemon is started if none answers, unless ``start`` is False; raises `NoDaemonError` if there is none.
    All methods of the client and its runs raise `rund.errors.RundError`.
    """
    return AsyncClient(os.environ, start=start)


class AsyncClient:
    """Asks the daemon; an async context manager that closes its connections at the end."""

    def __init__(self, environ: Mapping[str, str], *, start: bool) -> None:
        self._environ = dict(environ)
        self._start = start
        self._closed = False
        self._idle: list[AsyncConnection] = []

    async def __aenter__(self) -> Self:
        self._idle.append(await self._open())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the connections; the daemon and its runs go on."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()

    async def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - the wire's answer, whatever the method
        """The daemon's answer to a method of the wire, as PROTOCOL.md describes it."""
        connection = await self._take()
        try:
            return await connection.call(method, **params)
        finally:
            if connection.settled and not self._closed:
                self._idle.append(connection)
            else:
                await connection.aclose()

    async def _take(self) -> AsyncConnection:
        """A connection that nobody else uses."""
        if self._closed:
            raise InvalidError("this client is closed: connect again")
        while self._idle:
            connection = self._idle.pop()
            if not hung_up(connection.fileno()):
                return connection
            await connection.aclose()
        return await self._open()

    async def _open(self) -> AsyncConnection:
        path = await anyio.to_thread.run_sync(partial(answering_path, self._environ, start=self._start))
        return await open_connection(path, self._environ, start=self._start)

    async def run(self, operation: str | os.PathLike[str], **options: Unpack[RunOptions]) -> AsyncRun:
        """Make a run of ``operation``, or a batch where a flag has several values, and queue it."""
        return AsyncRun(self, (await self.call("run", **run_params(operation, options)))["run"])

    async def restart(self, run: str | AsyncRun, **options: Unpack[RestartOptions]) -> AsyncRun:
        """Run a run or a batch again, in place."""
        (name,) = names_of([run])
        return AsyncRun(self, (await self.call("restart", **restart_params(name, options)))["run"])

    async def get(self, run: str) -> AsyncRun:
        """The run with this id, or prefix of it, or ``@1`` for the newest."""
        return AsyncRun(self, (await self.call("show", run=run))["run"])

    async def runs(self, **options: Unpack[ListOptions]) -> list[AsyncRun]:
        """Runs, newest start first; of a batch its trials in order."""
        return [AsyncRun(self, attrs) for attrs in (await self.call("list", **list_params(options)))["runs"]]

    async def start(self, *runs: str | AsyncRun) -> None:
        """Queue runs that are staged."""
        take_attrs(runs, (await self.call("start", runs=names_of(runs)))["runs"])

    async def stop(self, *runs: str | AsyncRun, wait: bool = True) -> None:
        """End runs and all that they started, and wait for their end unless ``wait`` is False."""
        take_attrs(runs, (await self.call("stop", runs=names_of(runs)))["runs"])
        if wait:
            await self.wait(*runs)

    async def wait(self, *runs: str | AsyncRun, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the daemon's, not a scope
        """Wait until none of ``runs`` is running or pending; False if ``timeout`` seconds have passed before that."""
        answer = await self.call("wait", runs=names_of(runs), timeout=timeout)
        take_attrs(runs, answer["runs"])
        return bool(answer["done"])

    async def delete(self, *runs: str | AsyncRun, stop: bool = False, with_trials: bool = False) -> None:
        """Move runs to the trash; with ``stop`` those too that run; ``with_trials``: the trials of batches too."""
        await self.call("delete", runs=names_of(runs), stop=stop, with_trials=with_trials)

    async def restore(self, *runs: str | AsyncRun) -> None:
        """Take runs out of the trash."""
        await self.call("restore", runs=names_of(runs))

    async def purge(self, *runs: str | AsyncRun, everything: bool = False) -> None:
        """Free runs of the trash for good: those given, or with ``everything`` all."""
        await self.call("purge", runs=None if everything else names_of(runs))

    async def pause(self, batch: str | AsyncRun | None = None) -> None:
        """Start nothing new, of one batch or at all."""
        await self.call("pause", batch=None if batch is None else names_of([batch])[0])

    async def resume(self, batch: str | AsyncRun | None = None) -> None:
        """Lift a pause, of one batch or of all."""
        await self.call("resume", batch=None if batch is None else names_of([batch])[0])

    async def status(self) -> StatusAnswer:
        """How the daemon is."""
        answer: StatusAnswer = await self.call("status")
        return answer
