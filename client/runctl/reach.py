"""Reaches the daemon: connects to it, and starts it if none answers and starting is allowed."""

from __future__ import annotations

import errno
import os

from runctl import places
from runctl.connection import Connection, open_stream
from runctl.failures import DaemonEndedError, NoDaemonError
from rund.errors import InvalidError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runctl.arguments import Arguments


def reach_for(arguments: Arguments) -> Connection:
    """A connection to the daemon for a command that was given ``arguments``; raises as `reach`."""
    from runctl.screen import say

    return reach(os.environ, start=not arguments.flag("no-start"), notice=say)


def reach(environ: Mapping[str, str], *, start: bool = True, notice: Callable[[str], None] | None = None) -> Connection:
    """A connection to the daemon that ``environ`` means, started if need be; raises `NoDaemonError` if there is none.

    When its daemon goes, it goes on with the next one.  ``start`` False forbids to start one, and so does
    ``RUNCTL_NO_START`` set to anything but ``0`` or nothing.  ``notice``: see `Connection`.
    """
    allowed = may_start(environ, start=start)
    connection = connect(environ, notice) or _started(environ, allowed=allowed)
    connection.outlive_daemons(environ, start=allowed)
    return connection


def _started(environ: Mapping[str, str], *, allowed: bool) -> Connection:
    folder = places.home(environ)
    if not allowed:
        raise NoDaemonError(f"no daemon answers for the home {folder}: start one with `runctl daemon start`")
    from runctl.launch import launch

    return launch(environ)


def connect(environ: Mapping[str, str], notice: Callable[[str], None] | None = None) -> Connection | None:
    """A connection to the daemon that ``environ`` means; None if none answers.

    It is told the home that is meant, and refuses if its own is another; unless ``RUND_SOCKET`` alone says which it is.
    """
    for path in places.sockets(environ):
        try:
            stream = open_stream(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            continue  # not there, or left by a daemon that is gone
        except OSError as error:
            if not places.is_certain(path, environ):
                continue  # what stands in the note is no daemon's, or of another user's home that this is a copy of
            raise NoDaemonError(f"the socket {path} cannot be used: {_words(error)}") from None
        try:
            return _greeted(Connection(stream, path, notice), environ)
        except InvalidError:
            if environ.get("RUND_SOCKET"):
                raise
            # It was found through a home that is a copy of its own: the daemon of that one is another.
        except DaemonEndedError:
            continue  # it took the connection along as it ended
    return None


def _words(error: OSError) -> str:
    if _is_too_long(error):
        return "its name is too long: set RUND_SOCKET to a shorter one"
    return error.strerror or str(error)


def _is_too_long(error: OSError) -> bool:
    """Whether a path does not fit into a socket's address, which Python tells without a number, or into any path."""
    return error.errno in (None, errno.ENAMETOOLONG)


def _greeted(connection: Connection, environ: Mapping[str, str]) -> Connection:
    """``connection``, on which nothing is asked of a daemon with another home than the one that is meant."""
    hello = greeting(environ)
    if hello is not None:
        try:
            connection.call("hello", **hello)
        except BaseException:
            connection.close()
            raise
    return connection


def greeting(environ: Mapping[str, str]) -> dict[str, int | str] | None:
    """The params of the ``hello`` that must be answered before anything else is asked; None if none is needed.

    It is not sent along with the first request: that would be carried out, whatever the ``hello`` is answered.
    """
    if environ.get("RUND_SOCKET") and not environ.get("RUND_HOME"):
        return None
    from rund.api import PROTOCOL

    return {"protocol": PROTOCOL, "home": places.home(environ)}


def may_start(environ: Mapping[str, str], *, start: bool) -> bool:
    """Whether a client that was told ``start`` may start a daemon, by what ``environ`` says."""
    return start and environ.get("RUNCTL_NO_START", "") in ("", "0")


def answering_path(environ: Mapping[str, str], *, start: bool) -> str:
    """The path of the socket at which the daemon answers, started if need be; raises as `reach`."""
    with reach(environ, start=start) as connection:
        return connection.path


def next_path(environ: Mapping[str, str], gone: NoDaemonError, *, start: bool) -> str:
    """The path of the socket at which the daemon after one that is ``gone`` answers; raises as `next_daemon`."""
    from runctl.next_daemon import next_daemon

    with next_daemon(environ, gone, start=may_start(environ, start=start), notice=None) as connection:
        return connection.path
