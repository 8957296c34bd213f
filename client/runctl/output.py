"""A run's output, copied from the daemon to standard output as it comes."""

from __future__ import annotations

from runctl.screen import write_output

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import OutputAnswer
    from runctl.connection import Connection

_PATIENCE = 60.0  # seconds that one request waits for the next bytes; then it is asked again
_CHUNK = 65_536


def copy_output(daemon: Connection, run_id: str, attempt: int, *, offset: int = 0, follow: bool) -> None:
    """Write the output of one attempt from ``offset`` on: what is there, or with ``follow`` all until it is over."""
    while True:
        part: OutputAnswer = daemon.call(
            "output",
            run=run_id,
            attempt=attempt,
            offset=offset,
            limit=_CHUNK,
            timeout=_PATIENCE if follow else 0.0,
        )
        if part["data"]:
            write_output(part["data"])
        offset = part["next"]
        if part["end"] or not (follow or part["data"]):
            return


def tail_offset(daemon: Connection, run_id: str, attempt: int, lines: int) -> int:
    """Where the last ``lines`` lines of the attempt's output begin."""
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
        if start <= 0:
            return 0
        before = max(0, start - _CHUNK)
        part = daemon.call("output", run=run_id, attempt=attempt, offset=before, limit=start - before)
        start, data = before, part["data"]
