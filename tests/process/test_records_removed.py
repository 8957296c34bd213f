"""The records of a trial are removed while it lives: it is lost, and never silently run again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.process.conftest import Machine, wait_until

LOST = ("error", "lost: its records are damaged", 1)

LIVING = """#!/bin/sh
echo started >> "$RUND_PROJECT_DIR/starts"
while [ ! -e "$RUND_PROJECT_DIR/go" ]; do sleep 0.05; done
"""


def shown(machine: Machine, run: str) -> tuple[object, ...]:
    """A run's status, reason and number of attempts."""
    found = machine.json("show", run)["run"]
    return found["status"], found["reason"], found["attempts"]


def starts(machine: Machine) -> int:
    """How often the script was executed."""
    path = machine.project / "starts"
    return path.read_text().count("\n") if path.exists() else 0


@pytest.fixture
def run(served: Machine) -> str:
    served.script("living.sh", LIVING).chmod(0o755)
    run = str(served.json("run", "-d", "./living.sh")["run"]["id"])
    wait_until(lambda: starts(served) == 1)
    return run


def take_away(folder: Path, how: str) -> None:
    if how == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_trial_whose_records_are_gone_at_its_end_is_lost(served: Machine, run: str, how: str) -> None:
    take_away(served.home / "attempts", how)
    (served.project / "go").touch()
    served.ctl("wait", run)
    assert shown(served, run) == LOST
    assert starts(served) == 1


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_trial_that_lives_without_records_is_not_started_a_second_time_by_the_next_daemon(
    served: Machine, run: str, how: str
) -> None:
    served.kill()
    take_away(served.home / "attempts", how)
    served.start()
    served.ctl("wait", run)
    assert shown(served, run) == LOST
    assert starts(served) == 1
    (served.project / "go").touch()
