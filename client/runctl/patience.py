"""How long a client waits for a daemon that says nothing: it asks on another connection whether there is life in it.

Rules: a daemon that is at work, however long, answers `hello` to others at once.  One that does not is told of after
some seconds, in one line, and given up after a minute.
"""

from __future__ import annotations

from runctl.exchange import Exchange
from runctl.failures import NoDaemonError
from rund.errors import RundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable

TOLD = 5.0  # seconds without an answer until it is looked at, and each look lasts at most so long
_WAITS = 65.0  # the same for requests that wait: as long as one that follows something is left to wait, and a bit
GIVEN_UP = 60.0  # seconds without life
_CHUNK = 65_536


class Patience:
    """With the daemon at ``path``, for one answer; ``waits``: it may take long, by its nature."""

    def __init__(self, path: str, notice: Callable[[str], None] | None, *, waits: bool) -> None:
        self._path = path
        self._notice = notice
        self._every = _WAITS if waits else TOLD
        self._left = self._every
        self._silent = 0.0  # seconds since there was life

    def lose(self, seconds: float) -> None:
        """So many ``seconds`` have passed without an answer; raises `NoDaemonError` when it is enough."""
        if self.is_due(seconds):
            self.take(lives=is_alive(self._path))

    def is_due(self, seconds: float) -> bool:
        """Whether, after so many more ``seconds``, it is time to look whether the daemon lives."""
        self._left -= seconds
        return self._left <= 0

    def take(self, *, lives: bool) -> None:
        """What the look has shown; raises `NoDaemonError` when it is enough."""
        if lives:
            self._left, self._silent = self._every, 0.0
            return
        if not self._silent and self._notice is not None:
            self._notice(f"The daemon at {self._path} does not answer; waiting for it")
        self._left = TOLD
        self._silent += 2 * TOLD
        if self._silent > GIVEN_UP:
            raise NoDaemonError(
                f"the daemon at {self._path} has not answered for a minute: it hangs; end it with `kill -9`, runs go on"
            )


def is_alive(path: str) -> bool:
    """Whether the daemon at ``path`` answers somebody who asks who it is; one that is gone hangs not."""
    from runctl.connection import open_stream

    try:
        stream = open_stream(path)
    except OSError:
        return True
    exchange = Exchange()
    number, data = exchange.request("hello", {})
    try:
        stream.settimeout(TOLD)
        stream.sendall(data)
        while not exchange.answered(number):
            exchange.receive(stream.recv(_CHUNK))
    except TimeoutError:
        return False
    except (OSError, RundError):
        return True
    finally:
        stream.close()
    return True
