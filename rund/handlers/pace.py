"""How often one who waits looks again while changes come fast: each look costs as much as a change."""

from __future__ import annotations

import asyncio
import math
from typing import Final

import anyio

_PAUSE: Final = 0.02  # seconds from one look to the next, at least


class Pace:
    """The pace of one who looks, waits for a bell, and looks again."""

    def __init__(self) -> None:
        self._last = -math.inf  # the loop's time at which the last wait ended

    async def wait(self, bell: asyncio.Event) -> None:
        """Return when ``bell`` has rung: at once if the last one has rung a while ago."""
        await bell.wait()
        await anyio.sleep_until(self._last + _PAUSE)
        self._last = anyio.current_time()
