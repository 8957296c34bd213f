"""Finds the daemon that comes after one that has gone: a service manager's, another client's, or one of its own."""

from __future__ import annotations

import select
import time

from runctl.failures import NoDaemonError
from runctl.reach import connect, reach

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runctl.connection import Connection

_OTHERS_FIRST = 3.0  # seconds in which others may start it
_GIVEN_UP = 60.0
_BETWEEN_TRIES = 0.05


def next_daemon(
    environ: Mapping[str, str], gone: NoDaemonError, *, start: bool, notice: Callable[[str], None] | None
) -> Connection:
    """A connection to the next daemon; raises ``gone`` if none comes within a minute, and none may be started."""
    begun = time.monotonic()
    told = False
    while time.monotonic() < begun + _GIVEN_UP:
        try:
            connection = connect(environ, notice)
        except NoDaemonError:  # it has just gone again
            connection = None
        if connection is not None:
            return connection
        if time.monotonic() > begun + _OTHERS_FIRST:
            if start:
                return _started(environ, gone, notice)
            if not told and notice is not None:
                notice("The daemon is gone; waiting for the next one")
            told = True
        select.select((), (), (), _BETWEEN_TRIES)
    raise gone


def _started(environ: Mapping[str, str], gone: NoDaemonError, notice: Callable[[str], None] | None) -> Connection:
    try:
        return reach(environ, notice=notice)
    except NoDaemonError as error:
        raise NoDaemonError(f"{gone.message}; {error.message}") from None
