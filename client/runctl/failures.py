"""What can go wrong on the client's side, and the exit status of each kind of error."""

from __future__ import annotations

from rund.errors import InvalidError, RundError

DONE = 0
INCOMPLETE = 1  # a run did not complete, or another failure
USAGE = 2
NO_DAEMON = 3
UNKNOWN_RUN = 4
IN_THE_WAY = 5  # busy, or in conflict
INTERRUPTED = 130  # as shells have it for Ctrl-C
BROKEN_PIPE = 141  # as shells have it for SIGPIPE

_EXITS = {
    "invalid": USAGE,
    "no-daemon": NO_DAEMON,
    "not-found": UNKNOWN_RUN,
    "ambiguous": UNKNOWN_RUN,
    "busy": IN_THE_WAY,
    "conflict": IN_THE_WAY,
}


class UsageError(InvalidError):
    """The command line cannot be understood."""


class NoDaemonError(RundError):
    """No daemon answers, and none could be started; the code is the client's own, never on the wire."""

    code = "no-daemon"


class DaemonEndedError(NoDaemonError):
    """The daemon has closed the connection: it ends, or was killed."""


def exit_status(error: RundError) -> int:
    """The exit status that stands for ``error``."""
    return _EXITS.get(error.code, INCOMPLETE)
