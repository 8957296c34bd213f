"""The heartbeat stops when what it stands for does, and only then."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from rund import heart
from rund.errors import InternalError
from rund.heart import TURN, beat

INTERVAL = 0.01


class Daemon:
    """What beats are told of: a thread that writes and an executor, as a test wants them to be."""

    def __init__(self) -> None:
        self.beats = 0
        self.looks = 0  # at the thread's work: one each beat
        self.answers = True
        self.refuses = False
        self.works = False
        self.seconds = 0.0

    def tell(self) -> None:
        self.beats += 1

    async def answer(self) -> None:
        if self.refuses:
            raise InternalError("the store could not be written")
        if not self.answers:
            await anyio.sleep_forever()

    def work(self) -> float:
        self.looks += 1
        return float(self.looks) if self.works else 1.0

    def turn(self) -> float:
        return self.seconds


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - what is looked at rings no bell
            await anyio.sleep(INTERVAL)


def beats_after(change: Callable[[Daemon], None]) -> int:
    """How many of ten beats are told after ``change``, when it has had two to be seen."""

    async def main() -> int:
        daemon = Daemon()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat, daemon.tell, INTERVAL, daemon, daemon)
            await until(lambda: daemon.beats >= 3)
            change(daemon)
            looks = daemon.looks
            await until(lambda: daemon.looks >= looks + 3)
            looks, beats = daemon.looks, daemon.beats
            await until(lambda: daemon.looks >= looks + 10)
            told = daemon.beats - beats
            tasks.cancel_scope.cancel()
        return told

    return anyio.run(main)


def silent(daemon: Daemon) -> None:
    daemon.answers = False


def busy(daemon: Daemon) -> None:
    daemon.answers, daemon.works = False, True


def refusing(daemon: Daemon) -> None:
    daemon.refuses = True


def starting(daemon: Daemon) -> None:
    daemon.seconds = TURN * INTERVAL - 0.001


def stuck(daemon: Daemon) -> None:
    daemon.seconds = TURN * INTERVAL + 0.001


@pytest.mark.parametrize("change", [lambda _: None, busy, refusing, starting])
def test_it_beats_while_all_works(change: Callable[[Daemon], None]) -> None:
    assert beats_after(change) >= 10


@pytest.mark.parametrize("change", [silent, stuck])
def test_it_stops_when_something_hangs(change: Callable[[Daemon], None]) -> None:
    assert beats_after(change) == 0


def test_it_beats_again_when_that_goes_on() -> None:
    async def main() -> None:
        daemon = Daemon()
        daemon.seconds = TURN
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat, daemon.tell, INTERVAL, daemon, daemon)
            await until(lambda: daemon.looks >= 3)
            assert daemon.beats == 0
            daemon.seconds = 0.0
            await until(lambda: daemon.beats >= 3)
            tasks.cancel_scope.cancel()

    anyio.run(main)


def test_it_beats_as_soon_as_that_goes_on_and_not_at_the_time_of_the_next_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heart, "_LOOKS", 360_000)

    async def main() -> None:
        daemon = Daemon()
        daemon.seconds = TURN * 3600.0 + 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat, daemon.tell, 3600.0, daemon, daemon)
            await until(lambda: daemon.looks >= 1)
            daemon.seconds = 0.0
            await until(lambda: daemon.beats >= 1)
            tasks.cancel_scope.cancel()

    anyio.run(main)
