"""Attempts whose output is shown while their batch is followed, and the copying of it.

What is there is read without waiting: a request that waited for each would be woken by every change of the batch.
"""

from __future__ import annotations

from runctl.output import missing_line
from runctl.prefixing import Prefixer
from runctl.screen import short
from rund.errors import NotFoundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runctl.answers import OutputAnswer
    from runctl.connection import Connection
    from runctl.display import Display
    from rund.api.results import RunMap

_CHUNK = 262_144
_AT_ONCE = 16  # requests whose answers are in memory at the same time


class Ending:
    """How an attempt ended."""

    __slots__ = ("reason", "status")

    def __init__(self, status: str | None, reason: str | None) -> None:
        self.status = status
        self.reason = reason


class Shown:
    """One attempt of a trial, and how much of it has been shown."""

    __slots__ = ("attempt", "ending", "is_announced", "is_gone", "is_read", "offset", "prefixer", "run")

    def __init__(self, run: RunMap, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.offset = 0
        self.ending: Ending | None = None  # known when its event has come
        self.is_announced = False
        self.is_read = False  # to its end
        self.is_gone = False  # it never ran, or was deleted
        self.prefixer: Prefixer | None = None  # None: its output is written as it is

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to show."""
        return self.is_gone or (self.is_read and self.ending is not None)

    def prefix(self) -> None:
        """Show its output line by line from now on, each with its short id."""
        self.prefixer = Prefixer(short(self.run["id"]))


def copy_outputs(daemon: Connection, display: Display, shown: Sequence[Shown]) -> tuple[bool, bool]:
    """Write what there is: of attempts that have ended all, of others no more than a chunk each.

    Answers whether there was anything, and whether there is more.
    """
    some, more = False, False
    for begin in range(0, len(shown), _AT_ONCE):
        group = shown[begin : begin + _AT_ONCE]
        while group:
            asked = [(each, _ask(daemon, each)) for each in group]
            sizes = [(each, _write(daemon, display, each, number)) for each, number in asked]
            some |= any(size for _, size in sizes)
            more |= any(size == _CHUNK and each.ending is None for each, size in sizes)
            group = [each for each in group if each.ending is not None and not each.is_over]
    return some, more


def _ask(daemon: Connection, shown: Shown) -> int:
    return daemon.send("output", run=shown.run["id"], attempt=shown.attempt, offset=shown.offset, limit=_CHUNK)


def _write(daemon: Connection, display: Display, shown: Shown, number: int) -> int:
    """Write one answer; answers its size."""
    try:
        part: OutputAnswer = daemon.answer(number)
    except NotFoundError:
        shown.is_gone = True
        return 0
    if part["offset"] > shown.offset:
        display.say(missing_line(shown.run["id"], part["offset"] - shown.offset))
    shown.offset = part["next"]
    shown.is_read = part["end"]
    data = part["data"]
    if shown.prefixer is None:
        display.write(data)
    else:
        display.write_lines(shown.prefixer.feed(data))
    return len(data)
