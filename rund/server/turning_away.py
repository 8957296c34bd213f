"""Who cannot be served is told why: otherwise it would wait for ever, or try again and again."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Final

from rund.errors import RundError, error_text
from rund.protocol.encoding import encode_notification

_MOST: Final = 4096  # more than may wait at a socket, so that no flood holds up the end

_log = logging.getLogger(__name__)


def turn_away(client: socket.socket, error: RundError) -> None:
    """Tell ``error`` to ``client``, if it can be told at once, and close the connection."""
    with contextlib.closing(client):
        client.settimeout(0)
        try:
            client.send(encode_notification("error", [error_text(error)]))
        except OSError:
            _log.debug("a client that was turned away could not be told")


def turn_all_away(listener: socket.socket, error: RundError) -> int:
    """Tell ``error`` to all clients that wait now, and close their connections; answers how many there were.

    A daemon that cannot serve does so at the socket that systemd handed over: systemd would start it for them again
    and again.  At a listener that is closed nobody waits.
    """
    if listener.fileno() < 0:
        return 0
    listener.settimeout(0)
    for turned in range(_MOST):
        try:
            client, _ = listener.accept()
        except ConnectionAbortedError:
            continue
        except OSError:  # nobody waits
            return turned
        turn_away(client, error)
    return _MOST
