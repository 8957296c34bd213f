"""The only wall clock.

Rules:

- Within a process time never goes back: where the machine's clock is set back, `now` goes on from where it was, at
  half the pace, until that has caught up.
- What has been read of another process's times is not gone behind (`go_on_after`), unless it is a day ahead or more: a
  clock that was wrong by so much is not believed.
- How long something took is told by `boottime`, which nobody sets.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False  # shims load this: typing's own costs memory
if TYPE_CHECKING:
    from collections.abc import Callable

_BELIEVED = 86_400.0  # seconds that another process's clock may be ahead


def boottime() -> float:
    """Seconds since boot, time asleep counted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """A clock that follows ``wall`` (seconds since 1970), and ``boot`` where ``wall`` is behind what it has told."""

    def __init__(self, wall: Callable[[], float], boot: Callable[[], float]) -> None:
        self._wall = wall
        self._boot = boot
        self._last = (0.0, 0.0)  # a time told, and when it was by ``boot``

    def now(self) -> float:
        """Seconds since 1970; never less than before."""
        wall, boot = self._wall(), self._boot()
        told, at = self._last  # one value: threads read and write it whole
        moment = max(wall, told + max(0.0, boot - at) / 2)
        self._last = (moment, boot)
        return moment

    def go_on_after(self, moment: float) -> None:
        """Tell nothing earlier than ``moment`` from now on, unless it is too far ahead to be believed."""
        if self.now() < moment <= self._wall() + _BELIEVED:
            self._last = (moment, self._boot())


_CLOCK = Clock(time.time, boottime)  # noqa: TID251 - this is the one place
now = _CLOCK.now
go_on_after = _CLOCK.go_on_after
