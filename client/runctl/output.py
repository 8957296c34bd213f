"""A run's output, copied from the daemon to standard output as it comes."""

from __future__ import annotations

import sys

from runctl.screen import say, short, write_output
from rund.errors import NotFoundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import OutputAnswer
    from runctl.connection import Connection
    from runctl.terminal_text import TerminalText

_PATIENCE = 60.0  # seconds that one request waits for the next bytes; then it is asked again
_CHUNK = 262_144


class OutputWriter:
    """Standard output, for what runs write: byte for byte, but made safe where it is a terminal."""

    def __init__(self) -> None:
        self._text: TerminalText | None = None
        if sys.stdout.isatty():
            from runctl.terminal_text import TerminalText

            self._text = TerminalText(sys.stdout.encoding)

    def write(self, data: bytes) -> None:
        """Write it at once."""
        write_output(data if self._text is None else self._text.feed(data))

    def finish(self) -> None:
        """What comes next on the screen is not of this output."""
        if self._text is not None and (rest := self._text.finish()):
            write_output(rest)


def copy_output(daemon: Connection, run_id: str, attempt: int, *, offset: int = 0, follow: bool) -> None:
    """Write the output of one attempt from ``offset`` on: what is there now, or with ``follow`` all until it is over.

    Raises `NotFoundError` if it is gone; who follows is told so, and goes on.
    """
    writer = OutputWriter()
    try:
        _copy(daemon, writer, run_id, attempt, offset=offset, follow=follow)
    except NotFoundError as error:
        if not follow:
            raise
        say(error.message)
    finally:
        writer.finish()


def _copy(daemon: Connection, writer: OutputWriter, run_id: str, attempt: int, *, offset: int, follow: bool) -> None:
    over: int | None = None  # where it ends; not known while it is followed
    while True:
        part: OutputAnswer = daemon.call(
            "output",
            run=run_id,
            attempt=attempt,
            offset=offset,
            limit=_CHUNK if over is None else min(_CHUNK, over - offset),
            timeout=_PATIENCE if follow else 0.0,
        )
        if part["offset"] > offset:
            say(missing_line(run_id, part["offset"] - offset))
        if part["data"]:
            writer.write(part["data"])
        offset = part["next"]
        if part["end"]:
            return
        if not follow:
            # What is written from here on was not asked for: it could go on for ever.
            over = part["size"] if over is None else over
            if offset >= over or not part["data"]:
                return


def missing_line(run_id: str, count: int) -> str:
    """What is said where ``count`` bytes of an output are not kept any more."""
    return f"{_size(count)} of the output of {short(run_id)} are not kept (setting output_limit)"


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def tail_offset(daemon: Connection, run_id: str, attempt: int, lines: int) -> int:
    """Where the last ``lines`` lines of the attempt's output begin, as far as it is kept."""
    part: OutputAnswer = daemon.call("output", run=run_id, attempt=attempt, offset=-_CHUNK, limit=_CHUNK)
    start, data = part["offset"], part["data"]
    end = part["next"]
    left = lines
    if data.endswith(b"\n"):
        left += 1  # the last newline ends a line and begins none
    while True:
        at = len(data)
        while left and (at := data.rfind(b"\n", 0, at)) >= 0:
            left -= 1
        if not left:
            return start + at + 1 if lines else end
        before = max(part["dropped"], start - _CHUNK)
        if before >= start:
            return start
        part = daemon.call("output", run=run_id, attempt=attempt, offset=before, limit=start - before)
        if part["offset"] >= start:  # dropped since
            return start
        start, data = part["offset"], part["data"]
