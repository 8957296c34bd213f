"""Runs what blocks in a thread; where no thread can be started now, for want of processes, it waits until one can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_RETRY: Final = (0.02, 1.0)  # seconds until it is tried again, at first and at most


def is_short_of_threads(error: RuntimeError) -> bool:
    """Whether an error says that no thread could be started: the interpreter has no other way to say so."""
    return str(error) == "can't start new thread"


async def in_thread(
    function: Callable[[*Ts], T],
    *args: *Ts,
    limiter: anyio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> T:
    """The answer of ``function(*args)``; the parameters are those of `anyio.to_thread.run_sync`."""
    pause = _RETRY[0]
    while True:
        try:
            return await anyio.to_thread.run_sync(function, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel)
        except RuntimeError as error:
            if not is_short_of_threads(error):
                raise  # what it has raised itself
        await anyio.sleep(pause)
        pause = min(2 * pause, _RETRY[1])
