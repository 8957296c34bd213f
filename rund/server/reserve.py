"""A descriptor held back for the moment when there is none left."""

from __future__ import annotations

import os
import socket

from rund.errors import FullError
from rund.server.turning_away import turn_away


class Reserve:
    """A descriptor held back, so that with none left a client can still be accepted and turned away."""

    def __init__(self) -> None:
        """Raises OSError if there is no descriptor to hold back."""
        self._descriptor: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def turn_away(self, listener: socket.socket) -> None:
        """Accept one client in the reserve's place, tell it why, and close it."""
        self.close()
        try:
            client, _ = listener.accept()
        except OSError:
            client = None
        if client is not None:
            turn_away(client, FullError("the daemon has no file descriptors left: close a client or raise its limit"))
        try:
            self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # another thread took it; tried again at the next shortage
            self._descriptor = None

    def close(self) -> None:
        """Give the descriptor up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
