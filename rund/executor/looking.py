"""Looks at attempts that have no pidfd to be watched by, in a few threads, and does to them what is due."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from rund.executor.adoption import Sighting, bound_output, find_shim, kill_orphans, look, signal_orphans
from rund.executor.locks import boot_id
from rund.executor.revoking import revoke
from rund.threads import in_thread

MOST: Final = 8  # threads
GRACE: Final = 10.0  # seconds, for orphaned processes whose record does not tell


class Looking:
    """The threads that look; ``threads`` bounds what else looks as they do."""

    def __init__(self, output_limit: int) -> None:
        """``output_limit``: bytes of output that are kept of what has lost its shim; 0: all."""
        self.threads = anyio.CapacityLimiter(MOST)
        self._output_limit = output_limit

    async def look(self, directory: Path, boot: str | None, *, handed_over: bool = False) -> Sighting:
        """What is seen there; see `rund.executor.adoption.look`."""
        return await in_thread(partial(look, directory, boot, handed_over=handed_over), limiter=self.threads)

    async def find_shim(self, directory: Path) -> int | None:
        """A pidfd of its shim; None if there is none, or none can be found now: for want of descriptors, say."""
        with contextlib.suppress(OSError):
            return await in_thread(find_shim, directory, limiter=self.threads)
        return None

    async def revoke(self, directory: Path) -> bool:
        """Whether an attempt that no shim has begun is taken back."""
        [revoked] = await in_thread(revoke_each, [directory], limiter=self.threads)
        return bool(revoked)

    async def bound_output(self, directory: Path) -> None:
        """Keep of its output no more than the limit."""
        await in_thread(bound_output, directory, self._output_limit, limiter=self.threads)

    async def stop_orphans(self, directory: Path, grace: float | None, kill_at: float | None) -> float | None:
        """Signal orphaned processes with what is due, by the loop's clock.

        Answers when they are to be killed, None if they are to be told first.  Where they cannot be looked for, for
        want of descriptors, say, that is tried again at the next look.
        """
        now = anyio.current_time()
        with contextlib.suppress(OSError):
            if kill_at is None:
                numbers = (signal.SIGTERM, signal.SIGCONT)
                await in_thread(signal_orphans, directory, *numbers, limiter=self.threads)
                return now + (GRACE if grace is None else grace)
            if now >= kill_at:
                await in_thread(kill_orphans, directory, limiter=self.threads)
        return kill_at


def look_at_each(directories: Sequence[Path]) -> list[Sighting]:
    """What is seen in each, all of which were handed over in this boot."""
    return [look(directory, boot_id(), handed_over=True) for directory in directories]


def revoke_each(directories: Sequence[Path]) -> list[bool | None]:
    """Whether each is taken back; None: that can neither be done nor told now."""
    revoked: list[bool | None] = []
    for directory in directories:
        try:
            revoked.append(revoke(directory))
        except OSError:
            revoked.append(None)
    return revoked
