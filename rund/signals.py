"""SIGTERM and Ctrl-C: however many come, and whenever, they tell the daemon once to end in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

import anyio


class StopSignals:
    """From when it is made on, until the process is gone, neither signal does anything else than to be told here."""

    def __init__(self, told: Callable[[], None]) -> None:
        """``told`` is called when the first comes, also while no event loop runs."""
        self._told: Callable[[], None] | None = told
        # A pipe of our own: an event loop's handlers are gone with it, and the next signal would kill in mid-write.
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        told, self._told = self._told, None
        if told is not None:
            told()

    def close(self) -> None:
        """Ignore those that still come: the end of the interpreter would give the others their deadly meaning back."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    async def wait(self) -> None:
        """Until one has come; other signals that this process handles are none of ours."""
        came: bytes = b""
        while not {signal.SIGTERM, signal.SIGINT} & set(came):
            await anyio.wait_readable(self._reader)
            came = os.read(self._reader, 4096)
