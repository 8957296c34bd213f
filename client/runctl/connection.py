"""One connection to the daemon, blocking: for one thread at a time.

``_socket`` is the C module under ``socket``, whose own import (enum, selectors) costs nearly an interpreter's start.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys

from runctl.exchange import Exchange
from runctl.failures import NoDaemonError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol, Self

    class Stream(Protocol):
        """A connected socket of any kind."""

        def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
            """The bytes of an option."""
            ...


_CHUNK = 262_144
_LOOK = 1.0  # seconds; a Ctrl-C that comes just before a wait begins does not end it, and is seen after it
_LONGEST_PATH = 107  # bytes that fit in sockaddr_un, without the closing 0


class Connection:
    """Asks and waits for the answer; several requests may be sent before the first answer is asked for.

    ``notice`` is called with a line for the user, where something takes longer than it should.
    """

    def __init__(self, stream: _socket.socket, path: str, notice: Callable[[str], None] | None = None) -> None:
        self.path = path  # of the daemon's socket
        self._stream = stream
        self._exchange = Exchange()
        self._notice = notice
        self._environ: Mapping[str, str] | None = None
        self._start = False

    def outlive_daemons(self, environ: Mapping[str, str], *, start: bool) -> None:
        """From now on, when the daemon goes what has no answer is asked of the next one that ``environ`` means.

        ``start``: this client may start one.
        """
        self._environ = environ
        self._start = start

    def release(self) -> _socket.socket:
        """The stream, for somebody else to use and close."""
        return self._stream

    @property
    def settled(self) -> bool:
        """Whether every request has been answered."""
        return self._exchange.settled

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()

    def send(self, method: str, **params: object) -> int:
        """Send a request; answers the number that `answer` wants.  Params that are None are left out."""
        number, data = self._exchange.request(method, params)
        try:  # noqa: SIM105 - contextlib would cost the start
            self._stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon has closed it, maybe after telling why: `answer` will meet both
        return number

    def answer(self, number: int) -> Any:  # noqa: ANN401 - what a method answers is typed where it is asked
        """The result of request ``number``; raises `rund.errors.RundError` for every answer but success."""
        patience = None
        while not self._exchange.answered(number):
            self._stream.settimeout(_LOOK)
            try:
                data = self._stream.recv(_CHUNK)
            except TimeoutError:
                if patience is None:
                    from runctl.patience import Patience

                    patience = Patience(self.path, self._notice, waits=self._exchange.waits(number))
                patience.lose(_LOOK)
                continue
            except ConnectionResetError:
                data = b""
            finally:
                self._stream.settimeout(None)
            patience = None
            try:
                self._exchange.receive(data)
            except NoDaemonError as error:
                self._begin_again(error)
        return self._exchange.take(number)

    def _begin_again(self, error: NoDaemonError) -> None:
        """Ask the next daemon what this one left without an answer; raises ``error`` where that cannot be."""
        if self._environ is None:
            raise error
        data = self._exchange.begin_again(error)
        from runctl.next_daemon import next_daemon

        other = next_daemon(self._environ, error, start=self._start, notice=self._notice)
        self._stream.close()
        self._stream, self.path = other.release(), other.path
        try:  # noqa: SIM105 - contextlib would cost the start
            self._stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it will be met where its answer is waited for

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - what a method answers is typed where it is asked
        """Send a request and wait for its result; raises as `answer`."""
        return self.answer(self.send(method, **params))

    def close(self) -> None:
        """End the connection; what it still waits for is given up."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_stream(path: str) -> _socket.socket:
    """A stream connected to the socket at ``path``, however long.

    Raises `OSError` if nothing answers there, or another user does.
    """
    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        with ShortPath(path) as short:
            stream.connect(short)
        check_server(stream)
    except BaseException:
        stream.close()
        raise
    return stream


def check_server(stream: Stream) -> None:
    """Raise `PermissionError` if another user's process listens at the other end: what is sent may be secret."""
    # The kernel noted it when that process began to listen: the middle one of pid, uid and gid.
    credentials = stream.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    uid = int.from_bytes(credentials[4:8], sys.byteorder)
    if uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"user {uid} listens there, and may not see what you run")


class ShortPath:
    """A path that fits in a socket's address: ``path`` itself, or one through an open descriptor of its folder."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _LONGEST_PATH:
            return self._path
        folder, _, name = self._path.rpartition("/")
        self._folder = os.open(folder or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{name}"

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            os.close(self._folder)
