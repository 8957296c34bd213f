"""A shim that is killed, with its trial or alone: the run is lost when nothing of it is alive, and not run again."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rund.executor.framing import STARTED
from rund.executor.records import read_start
from tests.process.conftest import Machine, wait_until

LOST = ("error", "lost: its supervisor was killed", 1)

LIVING = """#!/bin/sh
echo $$ > "$RUND_PROJECT_DIR/pid"
while [ ! -e "$RUND_PROJECT_DIR/go" ]; do sleep 0.05; done
"""


class Live(NamedTuple):
    """A trial that lives, of a batch that would start it again if it failed."""

    machine: Machine
    run: str
    shim: int
    trial: int

    def shown(self) -> tuple[Any, ...]:
        """Its status, reason and number of attempts."""
        run = self.machine.json("show", self.run)["run"]
        return run["status"], run["reason"], run["attempts"]


def is_over(pid: int) -> bool:
    """Whether a process has ended; somebody else reaps it, sooner or later."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def live(served: Machine) -> Live:
    served.script("living.sh", LIVING).chmod(0o755)
    [run] = served.json("run", "-d", "--force-flags", "--retries", "3", "./living.sh", "x=[1]")["trials"]
    pid = served.project / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    record = served.home / "attempts" / run[:2] / f"{run}-1" / STARTED
    return Live(served, run, read_start(record.read_bytes()).shim_pid, int(pid.read_text()))


@pytest.mark.parametrize("daemon", ["with a daemon", "without a daemon"])
def test_a_trial_killed_with_its_shim_is_lost_and_not_started_again(live: Live, daemon: str) -> None:
    if daemon == "without a daemon":
        live.machine.kill()
    os.kill(live.shim, signal.SIGKILL)
    os.kill(live.trial, signal.SIGKILL)
    if daemon == "without a daemon":
        live.machine.start()
    live.machine.ctl("wait", live.run)
    assert live.shown() == LOST


@pytest.mark.parametrize("daemon", ["the same daemon", "the next daemon"])
def test_a_trial_that_outlives_its_shim_runs_on_and_is_lost_at_its_end(live: Live, daemon: str) -> None:
    os.kill(live.shim, signal.SIGKILL)
    wait_until(lambda: is_over(live.shim))
    if daemon == "the next daemon":
        live.machine.kill()
        live.machine.start()
    assert live.shown() == ("running", None, 1)
    (live.machine.project / "go").touch()
    live.machine.ctl("wait", live.run)
    assert live.shown() == LOST


def test_a_trial_that_outlives_its_shim_can_be_stopped(live: Live) -> None:
    os.kill(live.shim, signal.SIGKILL)
    live.machine.ctl("stop", live.run, check=True)
    assert live.shown() == ("terminated", "stopped", 1)
    wait_until(lambda: is_over(live.trial))


def test_a_stop_that_no_daemon_lived_to_carry_out_is_carried_through_though_the_shim_was_killed(live: Live) -> None:
    live.machine.ctl("stop", "--no-wait", live.run, check=True)
    live.machine.kill()
    with contextlib.suppress(ProcessLookupError):  # it may have done it already
        os.kill(live.shim, signal.SIGKILL)
    live.machine.start()
    live.machine.ctl("wait", live.run)
    assert live.shown() == ("terminated", "stopped", 1)
