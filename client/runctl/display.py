"""What is shown of a batch: messages, output, and the live line below them, none on top of another."""

from __future__ import annotations

import sys

from runctl.live import LiveLine
from runctl.output import OutputWriter
from runctl.screen import say


class Display:
    """Standard error and standard output, as one screen where they are one."""

    def __init__(self) -> None:
        self._line = LiveLine() if sys.stderr.isatty() else None
        self._output = OutputWriter()
        self._output_is_seen = sys.stdout.isatty()
        self._unfinished = False  # the last line of output has no end yet

    @property
    def is_live(self) -> bool:
        """Whether there is a live line."""
        return self._line is not None

    @property
    def is_missing(self) -> bool:
        """Whether there is to be a live line, and it does not stand there."""
        return self._line is not None and not self._line.is_shown and not self._in_midst

    def is_due(self, now: float) -> bool:
        """Whether the live line, if there is one, may be drawn now, and there is room for it."""
        return self._line is not None and not self._in_midst and self._line.is_due(now)

    def draw(self, text: str, now: float) -> None:
        """Redraw the live line, if it is due at ``now``."""
        if self._line is not None and self.is_due(now):
            self._line.draw(text, now)

    def clear(self) -> None:
        """Take the live line away."""
        if self._line is not None:
            self._line.clear()

    def say(self, message: str) -> None:
        """One message on standard error."""
        self.clear()
        self._output.finish()
        if self._in_midst and sys.stderr.isatty():
            sys.stderr.write("\n")
            self._unfinished = False
        say(message)

    def write(self, data: bytes) -> None:
        """Output, as it is, or as a terminal may have it; it may end in the midst of a line."""
        if data:
            if self._output_is_seen:
                self.clear()
            self._output.write(data)
            self._unfinished = not data.endswith(b"\n")

    def write_lines(self, data: bytes) -> None:
        """Output that consists of whole lines, and begins on a line of its own."""
        if data and self._unfinished:
            data = b"\n" + data
        self.write(data)

    @property
    def _in_midst(self) -> bool:
        return self._unfinished and self._output_is_seen
