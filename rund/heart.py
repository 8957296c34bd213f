"""The daemon's heartbeat: told to the service manager only while all that the daemon is made of works.

Rules:

- The loop beats: if it hangs, there is no beat.
- The thread that writes must have answered since the last beat, or have worked: a change of a million runs may take
  longer than a beat, but uses its processor; one that waits for what never comes does not.
- A turn of the executor may take as long as `TURN` beats: it may start many runs, each with a time limit of its own.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Final, Protocol

import anyio
import anyio.abc

from rund.errors import RundError

_LOOKS: Final = 10  # in the time of a beat, whether all works again
TURN: Final = 10  # beats that one turn of the executor may take

_log = logging.getLogger(__name__)


class Works(Protocol):
    """The thread that writes."""

    async def answer(self) -> None:
        """Return when it has got round to it."""

    def work(self) -> float:
        """Seconds of a processor that it has used so far."""


class Turns(Protocol):
    """The executor."""

    def turn(self) -> float:
        """Seconds since its present turn began; 0 if it waits for something to do."""


async def beat(tell: Callable[[], None], interval: float, writer: Works, executor: Turns) -> None:
    """Call ``tell`` every ``interval`` seconds for as long as all works, until cancelled."""
    async with anyio.create_task_group() as tasks:
        pulse = _Pulse(tasks, writer, executor, TURN * interval)
        silent = False
        while True:
            fault = pulse.fault()
            if fault is None:
                tell()
            elif not silent:
                _log.error("%s: no sign of life is given until it goes on", fault)
            silent = fault is not None
            # The service manager's patience may end before the next beat would come.
            await anyio.sleep(interval / _LOOKS if silent else interval)


class _Pulse:
    """What was seen at the last beat."""

    def __init__(self, tasks: anyio.abc.TaskGroup, writer: Works, executor: Turns, longest: float) -> None:
        self._tasks = tasks
        self._writer = writer
        self._executor = executor
        self._longest = longest
        self._asked = False
        self._work = 0.0

    def fault(self) -> str | None:
        """What does not work; None if all does."""
        work = self._writer.work()
        idle = self._asked and work <= self._work
        self._work = work
        if not self._asked:
            self._asked = True
            self._tasks.start_soon(self._ask)
        if idle:
            return "the thread that writes does not answer and does nothing"
        turn = self._executor.turn()
        return f"the executor has been at one turn for {turn:.0f} s" if turn > self._longest else None

    async def _ask(self) -> None:
        with contextlib.suppress(RundError):  # a refusal is an answer
            await self._writer.answer()
        self._asked = False
