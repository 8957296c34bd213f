"""The sweep of daemon kills finds a lock that nobody sees, and a check that is left out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.broken_package import Break, broken_package
from tests.faults.changing_calls import SUPPORTED
from tests.faults.kill_scenarios import SCENARIOS
from tests.faults.kill_sweep import Sweep, a_world, world_fixture  # noqa: F401 - pytest finds the fixture here
from tests.faults.kill_world import Kill, World

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="system calls are known by their numbers on x86-64")


BROKEN_PATIENCE = 5.0  # seconds after the kill; what is broken may well hang, and too short a patience hides nothing


class Sabotage(NamedTuple):
    """What is broken, the scenario that shows it, and the call at the first of which the daemon is killed."""

    broken: Break
    scenario: str
    call: str


SABOTAGES = {
    "lock": Sabotage(
        Break("executor/locks.py", "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)", "pass"),
        "stop",
        "pidfd_send_signal",
    ),
    "check": Sabotage(
        Break("handlers/context.py", "found = reader.reply(request.request_id)", "found = None"), "make", "sendto"
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGES.values(), ids=SABOTAGES.keys())
@pytest.mark.timeout(600)
def test_a_sweep_finds_what_is_broken_on_purpose(world: World, sabotage: Sabotage, tmp_path: Path) -> None:
    sweep = Sweep(world, SCENARIOS[sabotage.scenario])
    with a_world(broken_package(tmp_path, sabotage.broken), BROKEN_PATIENCE) as broken:
        sweep.world = broken
        sweep.survive(Kill(at=1, since=sabotage.call), call=sabotage.call)
    assert sweep.wrong != []
    assert sweep.killed == 1
