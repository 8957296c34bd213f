"""The interface of what executes attempts: this machine first, cluster engines later.

Five verbs: `Backend.submit`, `Backend.find`, `Backend.snapshot`, `Backend.cancel`, and the facts of an attempt, which
come back by files in its directory alone (`rund.executor.facts`), never by the engine's word.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from rund.clock import boottime, now
from rund.engine.recover import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One attempt to execute."""

    token: str  # unique for ever
    directory: Path  # the attempt's own, for records and output
    cwd: Path  # the run's directory
    argv: tuple[str, ...]  # argv[0] without a slash is looked up by the shim, in the PATH of ``environment``
    environment: Mapping[str, str]  # whole; bytes that are not UTF-8 as surrogate escapes
    grace: float  # seconds between SIGTERM and SIGKILL when it is stopped
    output_limit: int = 0  # bytes of output that are kept, its end; 0: all
    started: float = field(default_factory=now)  # seconds since 1970, when its start was recorded
    began: float = field(default_factory=boottime)  # the same moment, in seconds since boot: it is made then


class State(StrEnum):
    """What an engine says of an attempt that it knows."""

    WAITING = "waiting"  # queued by the engine
    ALIVE = "alive"


class Backend(Protocol):
    """What executes attempts."""

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        """Start ``attempts``; answers those that could not be handed over, by token, with the reason.

        Those are proven never to have run, and may be submitted again under another token.
        ``prepare`` makes their directories: it is called first, in a thread where it may block, and answers the tokens
        of those that are not to be started after all.
        """
        ...

    async def find(self, attempts: Mapping[str, Path]) -> set[str]:
        """Take back what an earlier daemon submitted: answers the tokens that are alive, watched from now on.

        ``attempts`` are directories by token.
        """
        ...

    async def snapshot(self) -> dict[str, State]:
        """The state of every attempt that it watches, by token."""
        ...

    async def cancel(self, tokens: Collection[str]) -> None:
        """End these attempts and all that they started: SIGTERM, after their grace time SIGKILL.

        Returns when the request is handed over, not when they have ended; unknown tokens are passed over.
        """
        ...

    async def ended(self) -> dict[str, Finding]:
        """Wait until attempts have ended, and answer what became of them, each once, by token: as their files tell."""
        ...
