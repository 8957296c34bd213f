"""What the service manager hands to the daemon, and what the daemon tells it.

Rules:

- What is taken from the environment is taken out of it: nothing that the daemon starts may speak in its name.
- Nobody waits for the service manager: a message that cannot be sent at once is not sent.

Sources: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

_NAMES: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
)

LONGER: Final = 600.0

_log = logging.getLogger(__name__)


def take_environment(environ: MutableMapping[str, str]) -> dict[str, str]:
    """What the service manager has put into ``environ``, which is taken out of it."""
    return {name: environ.pop(name) for name in _NAMES if name in environ}


class ServiceManager:
    """The service manager that started this process; of a process that none started it is silent."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """``given`` is the answer of `take_environment`."""
        self._address = _address(given.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(given)  # seconds within which it wants to hear `alive` again and again, or None

    def ready(self, status: str) -> None:
        """Clients are served."""
        self._tell("READY=1", f"STATUS={status}")

    def starting(self, status: str) -> None:
        """What is done before clients are served."""
        self._tell(f"STATUS={status}")

    def needs_longer(self, status: str) -> None:
        """It will take longer until clients are served: `LONGER` seconds from now, or until this is called again."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(LONGER * 1e6)}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The daemon is about to end, by itself or because it was told to."""
        self._tell("STOPPING=1", f"STATUS={status}")

    def alive(self) -> None:
        """The daemon works."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.warning("the service manager could not be told %s: %s", lines[0], error.strerror)


def _address(text: str) -> str:
    """The address that a notify socket's name stands for: a path, or an abstract name, written with ``@``."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _watchdog(given: Mapping[str, str]) -> float | None:
    if given.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = given.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) > 0 else None
