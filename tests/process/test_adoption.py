"""A daemon comes to a hundred trials that live or have ended meanwhile, and to shims that say nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from runctl.client import Client

from rund.executor.framing import EXIT, STARTED
from rund.executor.records import read_exit, read_start
from tests.process.conftest import Machine, wait_until

TRIALS = 100
SILENT = 50
PATIENCE = 2.0  # seconds that a daemon's start waits for shims that say nothing, for all of them at once

# Lives until somebody opens the pipe of its own name; then it writes a line, and ends with its number.
TRIAL = """#!/bin/sh
echo begun
touch "$RUND_PROJECT_DIR/live/$FLAG_X"
read line < "$RUND_PROJECT_DIR/go/$FLAG_X"
echo over
touch "$RUND_PROJECT_DIR/over/$FLAG_X"
exit $((FLAG_X % 3))
"""


class Hundred:
    """A batch of so many trials, all of which live."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.env["RUND_SLOTS"] = str(TRIALS)
        machine.script("trial.sh", TRIAL).chmod(0o755)
        for folder in ("live", "go", "over"):
            (machine.project / folder).mkdir()
        for number in range(TRIALS):
            os.mkfifo(machine.project / "go" / str(number))
        machine.start()
        answer = machine.json("run", "-d", "--force-flags", "./trial.sh", f"x=range[0:{TRIALS - 1}]")
        self.batch: str = answer["run"]["id"]
        self.ids: list[str] = answer["trials"]
        wait_until(lambda: len(list((machine.project / "live").iterdir())) == TRIALS)

    def end(self, numbers: range) -> None:
        """Let these trials end, whether or not a daemon runs."""
        for number in numbers:
            os.close(os.open(self.machine.project / "go" / str(number), os.O_WRONLY))
        wait_until(lambda: all((self.machine.project / "over" / str(number)).exists() for number in numbers))

    def attempt(self, number: int) -> Path:
        """The folder of its first attempt."""
        run = self.ids[number]
        return self.machine.home / "attempts" / run[:2] / f"{run}-1"

    def silence(self, number: int) -> None:
        """Make its shim one that has not said yet who it is, and never does."""
        record = self.attempt(number) / STARTED
        os.kill(read_start(record.read_bytes()).shim_pid, signal.SIGSTOP)
        record.rename(record.with_name("kept"))

    def give_back(self, number: int) -> None:
        """Let its shim have said who it is, and go on."""
        record = self.attempt(number) / STARTED
        record.with_name("kept").rename(record)
        os.kill(read_start(record.read_bytes()).shim_pid, signal.SIGCONT)

    def runs(self) -> list[dict[str, Any]]:
        """The trials, in their order."""
        client = Client(self.machine.env, start=False)
        try:
            found: list[dict[str, Any]] = client.call("list", batch=self.batch, limit=TRIALS)["runs"]
        finally:
            client.close()
        return found


@pytest.fixture
def hundred(machine: Machine) -> Hundred:
    return Hundred(machine)


def starting(machine: Machine) -> float:
    """Seconds that a daemon takes to serve, after the last one was killed."""
    machine.kill()
    begun = time.monotonic()
    machine.start()
    return time.monotonic() - begun


@pytest.mark.timeout(600)
def test_a_hundred_live_trials_are_taken_back_and_silent_shims_delay_no_other(hundred: Hundred) -> None:
    machine = hundred.machine
    for number in range(SILENT):
        hundred.silence(number)
    assert starting(machine) < SILENT * PATIENCE, "they were waited for one after the other"
    assert [run["status"] for run in hundred.runs()] == ["running"] * TRIALS
    # What is asked of one that speaks is done while the silent ones are silent.
    machine.ctl("stop", hundred.ids[SILENT], check=True)
    hundred.end(range(SILENT + 1, 70))
    machine.ctl("wait", *hundred.ids[SILENT + 1 : 70])
    found = [run["status"] for run in hundred.runs()]
    assert found[: SILENT + 1] == ["running"] * SILENT + ["terminated"]
    assert found[SILENT + 1 : 70] == ["error" if x % 3 else "completed" for x in range(SILENT + 1, 70)]
    for number in range(SILENT):
        hundred.give_back(number)
    hundred.end(range(SILENT))
    machine.ctl("wait", *hundred.ids[:SILENT])
    assert [run["status"] for run in hundred.runs()][:SILENT] == [
        "error" if x % 3 else "completed" for x in range(SILENT)
    ]


@pytest.mark.timeout(600)
def test_trials_that_end_while_no_daemon_runs_have_their_true_ends(hundred: Hundred) -> None:
    machine = hundred.machine
    machine.kill()
    hundred.end(range(50))
    for number in range(50):  # recorded by the shim alone
        wait_until(lambda number=number: b"ended" in (hundred.attempt(number) / EXIT).read_bytes())  # type: ignore[misc]
    machine.start()
    machine.ctl("wait", *hundred.ids[:50])  # a shim may have had something to do yet
    runs = hundred.runs()
    assert [run["status"] for run in runs] == ["error" if x % 3 else "completed" for x in range(50)] + ["running"] * 50
    assert [run["exit_status"] for run in runs[:50]] == [x % 3 for x in range(50)]
    ends = [read_exit((hundred.attempt(x) / EXIT).read_bytes()) for x in range(50)]
    assert [run["stopped"] for run in runs[:50]] == [end.ended for end in ends if end is not None]
    assert all(run["started"] <= run["stopped"] for run in runs[:50])
    assert all(run["attempts"] == 1 for run in runs)
    assert all((hundred.attempt(x) / "output").read_text() == "begun\nover\n" for x in range(50))
    assert machine.ctl("logs", hundred.ids[0]).stdout == "begun\nover\n"
