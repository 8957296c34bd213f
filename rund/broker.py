"""Wakes whoever waits for a change; holds no events, so nobody can be late or fill it.

Take the `bell` first, then read what there is, then wait for the bell: no change is missed.
"""

from __future__ import annotations

import asyncio


class Broker:
    """One bell after the other; each rings once."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    @property
    def bell(self) -> asyncio.Event:
        """The bell that the next change rings."""
        return self._bell

    def ring(self) -> None:
        """Wake all that wait for the present bell."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
