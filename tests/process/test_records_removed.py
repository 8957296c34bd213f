"""The records of a trial are removed while it lives: it can be stopped, is lost at its end, and never run again."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.process.conftest import Machine, wait_until

LOST = ("error", "lost: its records are damaged", 1)

STOPPED = ("terminated", "stopped", 1)

LIVING = """#!/bin/sh
echo $$ >> "$RUND_PROJECT_DIR/starts"
while [ ! -e "$RUND_PROJECT_DIR/go" ]; do sleep 0.05; done
"""


def shown(machine: Machine, run: str) -> tuple[object, ...]:
    """A run's status, reason and number of attempts."""
    found = machine.json("show", run)["run"]
    return found["status"], found["reason"], found["attempts"]


def starts(machine: Machine) -> int:
    """How often the script was executed."""
    return len(pids(machine))


def pids(machine: Machine) -> list[int]:
    """The process numbers that it had."""
    path = machine.project / "starts"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [int(line) for line in lines if line.endswith("\n")]


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid: int) -> int:
    """The process that made ``pid``."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def records(machine: Machine, run: str) -> Path:
    """The folder of its only attempt."""
    return machine.home / "attempts" / run[:2] / f"{run}-1"


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
    assert shown(served, run) == ("running", None, 1), "it is alive"
    (served.project / "go").touch()
    served.ctl("wait", run)
    assert shown(served, run) == LOST
    assert starts(served) == 1


@pytest.mark.parametrize("how", ["removed", "moved"])
@pytest.mark.parametrize("shim", ["alive", "killed"])
def test_a_trial_that_lives_without_records_is_stopped_by_the_next_daemon(
    served: Machine, run: str, how: str, shim: str
) -> None:
    (trial,) = pids(served)
    served.kill()
    take_away(served.home / "attempts", how)
    if shim == "killed":
        os.kill(parent(trial), signal.SIGKILL)
    served.start()
    served.ctl("stop", run, check=True)
    assert shown(served, run) == STOPPED
    wait_until(lambda: not is_alive(trial))
    assert starts(served) == 1


def test_a_trial_that_lives_without_its_start_record_is_stopped_by_the_next_daemon(served: Machine, run: str) -> None:
    (trial,) = pids(served)
    served.kill()
    (records(served, run) / "started").unlink()
    served.start()
    assert shown(served, run) == ("running", None, 1)
    served.ctl("stop", run, check=True)
    assert shown(served, run) == STOPPED
    wait_until(lambda: not is_alive(trial))


def test_a_trial_that_was_killed_and_whose_start_record_is_gone_is_lost(served: Machine, run: str) -> None:
    (trial,) = pids(served)
    shim = parent(trial)
    served.kill()
    (records(served, run) / "started").unlink()
    for pid in (shim, trial):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(shim) and not is_alive(trial))
    served.start()
    served.ctl("wait", run)  # what the trial had just started may live a little longer
    assert shown(served, run) == LOST
    assert starts(served) == 1
