"""What many clients may want at once and only one does: so many who flood the daemon take no more of it than one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Final

import anyio
import anyio.lowlevel

_THAW: Final = 60.0  # seconds after a large message until the collector looks at what was hidden with it


class Gate:
    """Lets one client through at each turn of the event loop, in the order in which they came.

    Who has done as much as one turn is worth goes on through here; who asks a little never comes here, and finds the
    loop held up by one of the others at most.
    """

    def __init__(self) -> None:
        self._passing = anyio.Lock(fast_acquire=True)
        self._large = anyio.Lock(fast_acquire=True)
        self._thaw_timer: asyncio.TimerHandle | None = None

    async def go_through(self) -> None:
        """Wait for a turn of one's own."""
        async with self._passing:
            await anyio.lowlevel.checkpoint()

    @contextlib.asynccontextmanager
    async def large_message(self) -> AsyncIterator[None]:
        """Decode and answer a large message within, and let go of it: no other client's is meanwhile.

        What `decode` has hidden from the collector is gone then, but what else there was is hidden, too: after a
        while the collector looks at that.
        """
        async with self._large:
            try:
                yield
            finally:
                if self._thaw_timer is None:
                    self._thaw_timer = asyncio.get_running_loop().call_later(_THAW, self._thaw)

    def _thaw(self) -> None:
        self._thaw_timer = None
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    async def decode(self, pieces: Iterator[None]) -> None:
        """Make ``pieces``, one at each turn.

        The collector of rings looks at all that there is, and so at each of a million values, again and again while
        they are made, and holds up everybody for that long.  So it rests meanwhile, and is to look at none of them
        afterwards: the values of a message make no ring.
        """
        gc.disable()
        try:
            for _ in pieces:
                await anyio.lowlevel.checkpoint()
        finally:
            gc.freeze()
            gc.enable()
