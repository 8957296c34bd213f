"""A line that stands below all others on a terminal, redrawn in place, at most ten times a second.

A carriage return and "erase to the end" are all that one line needs; rich would cost the start more than the rest.
"""

from __future__ import annotations

import os
import sys

from runctl.screen import plain
from runctl.table import cut

_BETWEEN = 0.1  # seconds
_ERASE = "\r\x1b[K"


class LiveLine:
    """The line, on the terminal that standard error is."""

    def __init__(self) -> None:
        self._shown = ""
        self._drawn_at = float("-inf")

    @property
    def is_shown(self) -> bool:
        """Whether it stands there."""
        return bool(self._shown)

    def is_due(self, now: float) -> bool:
        """Whether it may be drawn at ``now``, in seconds of a monotonic clock."""
        return now - self._drawn_at >= _BETWEEN

    def draw(self, text: str, now: float) -> None:
        """Show ``text``, as much of it as fits beside the cursor, if it is due."""
        line = cut(plain(text), max(_columns() - 1, 1))
        if line != self._shown and self.is_due(now):
            sys.stderr.write(f"{_ERASE}{line}")
            sys.stderr.flush()
            self._shown, self._drawn_at = line, now

    def clear(self) -> None:
        """Take it away, so that another line can be written in its place."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._shown = ""


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
