"""The daemon killed at every system call that changes something, and the next one at a call of its recovery.

``RUND_KILL_POINTS=all pytest -n 2 -rP --timeout 14400 tests/faults/test_kill_daemon.py`` takes every call of every scenario;
without it a sample is taken, the same each time unless RUND_KILL_SEED says otherwise.  After the kills the scenario is
carried through by the next daemons, and must come to what it comes to undisturbed; what is checked besides, says
`tests.faults.kill_checks`.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.changing_calls import SUPPORTED
from tests.faults.kill_checks import Outcome, violations
from tests.faults.kill_drive import Drive
from tests.faults.kill_scenarios import SCENARIOS, Killing
from tests.faults.kill_world import Kill, World

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="system calls are known by their numbers on x86-64")

WHOLE: Final = os.environ.get("RUND_KILL_POINTS") == "all"
SHARDS: Final = 4 if WHOLE else 1
SAMPLE: Final = 12  # points of each scenario
SEED: Final = os.environ.get("RUND_KILL_SEED", "1")
SAMPLE_OF_RECOVERY: Final = 4
PARTS: Final = (0.3, 0.5, 0.7) if WHOLE else (0.6,)  # of a scenario's changes, after which the first daemon is killed
RECOVERY: Final = 120  # the second daemon is killed, if it is, at one of so many changes from its start


@pytest.fixture
def world() -> Iterator[World]:
    # Not in pytest's folder: a socket's path may not be long.
    folder = Path(tempfile.mkdtemp(prefix="rund-kills-"))
    with World(folder) as world:
        yield world
    shutil.rmtree(folder)


class Sweep:
    """One scenario, what it comes to undisturbed, and the changes that its first daemon makes."""

    def __init__(self, world: World, killing: Killing) -> None:
        self.world = world
        self.killing = killing
        self._template = None if killing.prepare is None else self._prepare(killing)
        self.expected, self.calls = self.record()
        self.points = 0
        self.killed = 0
        self.wrong: list[str] = []

    def _prepare(self, killing: Killing) -> Path:
        assert killing.prepare is not None
        template = self.world.folder / "template"
        self.world.begin()
        drive = Drive(self.world)
        daemon = drive.through(killing.prepare)
        drive.hang_up()
        daemon.stop()
        self.world.keep(template)
        return template

    def record(self, *kills: Kill) -> tuple[Outcome, list[str]]:
        """What the scenario comes to after these kills, and the changes that the next daemon makes."""
        self.world.begin(self._template)
        drive = Drive(self.world)
        daemon = drive.through(self.killing.scenario, kills, watched=True)
        outcome, wrong = violations(drive, daemon)
        assert wrong == [], f"{kills}: {wrong}"
        calls = daemon.changes()
        since = None if kills else self.killing.since
        return outcome, calls if since is None else calls[calls.index(since) :]

    def survive(self, *kills: Kill, call: str) -> None:
        """Carry the scenario through these kills, and note what is wrong; ``call`` is where the last one comes."""
        self.points += 1
        self.world.begin(self._template)
        drive = Drive(self.world)
        try:
            last = drive.through(self.killing.scenario, kills)
            outcome, wrong = violations(drive, last)
            for kind, found, expected in zip(Outcome._fields, outcome, self.expected, strict=True):
                if found != expected:
                    wrong.append(f"{kind}: {found} instead of {expected}")
        except AssertionError as error:
            wrong = [str(error)]
        finally:
            drive.hang_up()
        self.killed += drive.killed()
        if wrong:
            self.wrong.append(f"{kills} ({call}): {wrong}\n{self.world.log.read_text()}")

    def conclude(self) -> None:
        """Tell the counts, and fail if anything was wrong, or the kills did not come where they should."""
        print(f"{self.points} points, {self.killed} daemons killed, {len(self.wrong)} violations")
        assert self.wrong == []
        # The last changes of a recording may not come to pass each time.
        assert self.killed >= 0.8 * self.points, "too few daemons were killed"


def sample(calls: list[str], draw: random.Random, size: int) -> list[int]:
    """Some of the changes, by their numbers from 1: half of them other than writes to the database."""
    others = [number for number, name in enumerate(calls, 1) if name != "pwrite64"]
    chosen = set(draw.sample(others, min(size // 2, len(others))))
    rest = [number for number in range(1, len(calls) + 1) if number not in chosen]
    return sorted(chosen | set(draw.sample(rest, min(size - len(chosen), len(rest)))))


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.timeout(14_400 if WHOLE else 600)
def test_a_daemon_killed_at_any_change_leaves_nothing_lost_and_nothing_done_twice(
    world: World, name: str, shard: int
) -> None:
    sweep = Sweep(world, SCENARIOS[name])
    draw = random.Random(f"{SEED} {name} {shard}")
    whole = range(1 + shard, len(sweep.calls) + 1, SHARDS)
    for point in whole if WHOLE else sample(sweep.calls, draw, SAMPLE):
        first = Kill(at=point, since=sweep.killing.since)
        # Every second time the daemon that comes to recover is killed as well.
        again = [Kill(at=draw.randint(1, RECOVERY))] if draw.random() < 0.5 else []
        sweep.survive(first, *again, call=sweep.calls[point - 1])
    sweep.conclude()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.timeout(14_400 if WHOLE else 600)
def test_a_recovery_killed_at_any_change_can_be_repeated(world: World, name: str, part: float) -> None:
    sweep = Sweep(world, SCENARIOS[name])
    draw = random.Random(f"{SEED} {name} {part}")
    first = Kill(at=int(part * len(sweep.calls)), since=sweep.killing.since)
    _, calls = sweep.record(first)
    for point in range(1, len(calls) + 1) if WHOLE else sample(calls, draw, SAMPLE_OF_RECOVERY):
        sweep.survive(first, Kill(at=point), call=calls[point - 1])
    sweep.conclude()
