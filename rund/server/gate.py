"""What many clients may want at once and only one does: so many who flood the daemon take no more of it than one."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel


class Gate:
    """Lets one client through at each turn of the event loop, in the order in which they came.

    Who has done as much as one turn is worth goes on through here; who asks a little never comes here, and finds the
    loop held up by one of the others at most.
    """

    def __init__(self) -> None:
        self._passing = anyio.Lock(fast_acquire=True)
        self._large = anyio.Lock(fast_acquire=True)

    async def go_through(self) -> None:
        """Wait for a turn of one's own."""
        async with self._passing:
            await anyio.lowlevel.checkpoint()

    @contextlib.asynccontextmanager
    async def large_message(self) -> AsyncIterator[None]:
        """Decode and answer a large message within, and let go of it: no other client's is meanwhile.

        The collector of rings looks at all that there is, and so at each of a million values, again and again while
        they are made, and holds up everybody for that long.  So it rests meanwhile, and looks when they are gone.
        """
        async with self._large:
            gc.disable()
            try:
                yield
            finally:
                gc.enable()
                gc.collect()
