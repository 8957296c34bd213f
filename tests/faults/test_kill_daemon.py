"""The daemon killed at every system call that changes something, and the next one at a call of its recovery.

``RUND_KILL_POINTS=all`` (or ``RUND_FULL=1``) takes every call of every scenario; with ``--log-cli-level WARNING`` instead
of ``-n 2`` it tells what it finds at once.  Without it a sample is taken, the same each time unless RUND_KILL_SEED says
otherwise.  After the kills the scenario is
carried through by the next daemons, and must come to what it comes to undisturbed; what is checked besides, says
`tests.faults.kill_checks`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from tests.faults.changing_calls import SUPPORTED
from tests.faults.full_form import FULL
from tests.faults.kill_scenarios import SCENARIOS
from tests.faults.kill_sweep import Sweep, world_fixture  # noqa: F401 - pytest finds the fixture here
from tests.faults.kill_world import Kill, World

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="system calls are known by their numbers on x86-64")

WHOLE: Final = FULL or os.environ.get("RUND_KILL_POINTS") == "all"
SHARDS: Final = 4 if WHOLE else 1
SAMPLE: Final = 10  # points of each scenario
SEED: Final = os.environ.get("RUND_KILL_SEED", "1")
SAMPLE_OF_RECOVERY: Final = 3
PARTS: Final = (0.3, 0.5, 0.7) if WHOLE else (0.6,)  # of a scenario's changes, after which the first daemon is killed
AFTER_RECOVERY: Final = 60  # changes of a daemon that serves already, but sees to what it has found
RECOVERY: Final = 120  # the second daemon is killed, if it is, at one of so many changes from its start


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
    world: World, name: str, shard: int, record_property: Callable[[str, object], None]
) -> None:
    sweep = Sweep(world, SCENARIOS[name])
    draw = random.Random(f"{SEED} {name} {shard}")
    whole = range(1 + shard, len(sweep.calls) + 1, SHARDS)
    for point in whole if WHOLE else sample(sweep.calls, draw, SAMPLE):
        first = Kill(at=point, since=sweep.killing.since)
        # Every second time the daemon that comes to recover is killed as well.
        again = [Kill(at=draw.randint(1, RECOVERY))] if draw.random() < 0.5 else []
        if not sweep.survive(first, *again, call=sweep.calls[point - 1]) and not WHOLE:
            sooner = -(-2 * point // 3)
            sweep.survive(replace(first, at=sooner), *again, call=sweep.calls[sooner - 1])
    sweep.conclude(record_property)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.timeout(14_400 if WHOLE else 600)
def test_a_recovery_killed_at_any_change_can_be_repeated(
    world: World, name: str, part: float, record_property: Callable[[str, object], None]
) -> None:
    sweep = Sweep(world, SCENARIOS[name])
    draw = random.Random(f"{SEED} {name} {part}")
    first = Kill(at=int(part * len(sweep.calls)), since=sweep.killing.since)
    _, calls = sweep.record(first)
    calls = calls[: calls.index("listen") + AFTER_RECOVERY]
    for point in range(1, len(calls) + 1) if WHOLE else sample(calls, draw, SAMPLE_OF_RECOVERY):
        sweep.survive(first, Kill(at=point), call=calls[point - 1])
    sweep.conclude(record_property)
