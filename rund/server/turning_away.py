"""A daemon that cannot serve tells so to the clients that wait at the socket that systemd handed over.

Otherwise they would wait for ever, and systemd would start the daemon for them again and again.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from rund.errors import RundError, error_text
from rund.protocol.encoding import encode_notification

_MOST: Final = 4096  # more than may wait at a socket, so that no flood holds up the end


def turn_all_away(listener: socket.socket, error: RundError) -> int:
    """Tell ``error`` to all clients that wait now, and close their connections; answers how many there were.

    At a listener that is closed nobody waits.
    """
    if listener.fileno() < 0:
        return 0
    listener.settimeout(0)
    farewell = encode_notification("error", [error_text(error)])
    for turned in range(_MOST):
        try:
            client, _ = listener.accept()
        except ConnectionAbortedError:
            continue
        except OSError:  # nobody waits
            return turned
        with client, contextlib.suppress(OSError):  # it may be gone
            client.settimeout(0)
            client.send(farewell)
    return _MOST
