"""What many clients may want at once and only one does: so many who flood the daemon take no more of it than one."""

from __future__ import annotations

import anyio
import anyio.lowlevel


class Gate:
    """Lets one client through at each turn of the event loop, in the order in which they came.

    Who has done as much as one turn is worth goes on through here; who asks a little never comes here, and finds the
    loop held up by one of the others at most.
    """

    def __init__(self) -> None:
        self._passing = anyio.Lock(fast_acquire=True)
        self.large = anyio.Lock(fast_acquire=True)  # to decode and answer a large message

    async def go_through(self) -> None:
        """Wait for a turn of one's own."""
        async with self._passing:
            await anyio.lowlevel.checkpoint()
