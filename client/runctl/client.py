"""The Python client, blocking.

A client may be used by many threads at once: each call has a connection to itself while it lasts, so a call that waits
holds up no other.  A `Run` is a plain object: use one from one thread at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

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
from runctl.reach import reach
from runctl.run import Run
from runctl.run_view import take_attrs
from rund.errors import InvalidError

if TYPE_CHECKING:
    from runctl.answers import StatusAnswer
    from runctl.connection import Connection


def connect(*, start: bool = True) -> Client:
    """A client of the daemon that the environment means, which is started if none answers, unless ``start`` is False.

    Raises `NoDaemonError` if there is none.  All methods of the client and its runs raise `rund.errors.RundError`.
    """
    return Client(os.environ, start=start)


class Client:
    """Asks the daemon; a context manager that closes its connections at the end."""

    def __init__(self, environ: Mapping[str, str], *, start: bool) -> None:
        self._environ = dict(environ)
        self._start = start
        self._closed = False
        self._idle: list[Connection] = [reach(self._environ, start=start)]  # its pop and append are atomic

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; the daemon and its runs go on."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - the wire's answer, whatever the method
        """The daemon's answer to a method of the wire, as PROTOCOL.md describes it."""
        connection = self._take()
        try:
            return connection.call(method, **params)
        finally:
            if connection.settled and not self._closed:
                self._idle.append(connection)
            else:
                connection.close()

    def _take(self) -> Connection:
        """A connection that nobody else uses."""
        if self._closed:
            raise InvalidError("this client is closed: connect again")
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was first
                break
            if not hung_up(connection.fileno()):
                return connection
            connection.close()
        return reach(self._environ, start=self._start)

    def run(self, operation: str | os.PathLike[str], **options: Unpack[RunOptions]) -> Run:
        """Make a run of ``operation``, or a batch where a flag has several values, and queue it."""
        return Run(self, self.call("run", **run_params(operation, options))["run"])

    def restart(self, run: str | Run, **options: Unpack[RestartOptions]) -> Run:
        """Run a run or a batch again, in place."""
        (name,) = names_of([run])
        return Run(self, self.call("restart", **restart_params(name, options))["run"])

    def get(self, run: str) -> Run:
        """The run with this id, or prefix of it, or ``@1`` for the newest."""
        return Run(self, self.call("show", run=run)["run"])

    def runs(self, **options: Unpack[ListOptions]) -> list[Run]:
        """Runs, newest start first; of a batch its trials in order."""
        return [Run(self, attrs) for attrs in self.call("list", **list_params(options))["runs"]]

    def start(self, *runs: str | Run) -> None:
        """Queue runs that are staged."""
        take_attrs(runs, self.call("start", runs=names_of(runs))["runs"])

    def stop(self, *runs: str | Run, wait: bool = True) -> None:
        """End runs and all that they started, and wait for their end unless ``wait`` is False."""
        take_attrs(runs, self.call("stop", runs=names_of(runs))["runs"])
        if wait:
            self.wait(*runs)

    def wait(self, *runs: str | Run, timeout: float | None = None) -> bool:
        """Wait until none of ``runs`` is running or pending; False if ``timeout`` seconds have passed before that."""
        answer = self.call("wait", runs=names_of(runs), timeout=timeout)
        take_attrs(runs, answer["runs"])
        return bool(answer["done"])

    def delete(self, *runs: str | Run, stop: bool = False, with_trials: bool = False) -> None:
        """Move runs to the trash; with ``stop`` those too that run; ``with_trials``: the trials of batches too."""
        self.call("delete", runs=names_of(runs), stop=stop, with_trials=with_trials)

    def restore(self, *runs: str | Run) -> None:
        """Take runs out of the trash."""
        self.call("restore", runs=names_of(runs))

    def purge(self, *runs: str | Run, everything: bool = False) -> None:
        """Free runs of the trash for good: those given, or with ``everything`` all."""
        self.call("purge", runs=None if everything else names_of(runs))

    def pause(self, batch: str | Run | None = None) -> None:
        """Start nothing new, of one batch or at all."""
        self.call("pause", batch=None if batch is None else names_of([batch])[0])

    def resume(self, batch: str | Run | None = None) -> None:
        """Lift a pause, of one batch or of all."""
        self.call("resume", batch=None if batch is None else names_of([batch])[0])

    def status(self) -> StatusAnswer:
        """How the daemon is."""
        answer: StatusAnswer = self.call("status")
        return answer
