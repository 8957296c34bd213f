"""Trials that do not want to end: all that they started is ended, whoever was killed in between.

Each kind says that it is up by a file in its folder, and gives up by itself after a time, with a file, so that a fault
of rund leaves no process behind for long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rund.executor.facts import read_facts
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

PATIENCE = 4 * DEADLINE  # seconds; what forks all the time slows the whole machine
LIVES = PATIENCE + DEADLINE  # seconds until they give up

pytestmark = pytest.mark.timeout(2 * LIVES)

COMMON = f"""
import os, signal, sys, time
kind = "ignores"
end = time.monotonic() + {LIVES}
def up():
    open("up", "w").close()
def live():
    while time.monotonic() < end:
        time.sleep(0.05)
    open("gave-up", "w").close()
    os._exit(0)
def close_all():
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            os.close(number)
        except OSError:
            pass
def again_and_again():
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        os.setsid()
    open("gave-up", "w").close()
    os._exit(0)
"""

KINDS = {
    "ignores": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nup()\nlive()\n",
    "stopped": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nup()\nwhile True:\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    ),
    "grandchild": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        up()\n    live()\nos.wait()\n"
    ),
    "abandons": "if os.fork() == 0:\n    os.setsid()\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    up()\n    live()\nlive()\n",
    "forks on TERM": (
        "def more(*_):\n    if os.fork() == 0:\n        os.setsid()\n        signal.signal(signal.SIGTERM, more)\n    live()\n"
        "signal.signal(signal.SIGTERM, more)\nup()\nlive()\n"
    ),
    "forks all the time": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0:\n    up()\n    again_and_again()\nlive()\n"
    ),
}
# Holds nothing by which it could be known but that it descends from its shim.
DAEMON = {
    "daemon": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    os.chdir('/')\n    folder = os.environ['RUND_RUN_DIR']\n"
        "    close_all()\n    os.chdir(folder)\n    up()\n    live()\nlive()\n"
    ),
}


class Stubborn:
    """One run of each of some kinds, up."""

    def __init__(self, machine: Machine, kinds: dict[str, str]) -> None:
        self.machine = machine
        source = COMMON + "".join(
            f"if kind == {name!r}:\n" + "".join(f"    {line}\n" for line in code.splitlines())
            for name, code in kinds.items()
        )
        machine.script("stubborn.py", source)
        self.runs: dict[str, dict[str, Any]] = {
            name: machine.json("run", "-d", "stubborn.py", f"kind={name}")["run"] for name in kinds
        }
        wait_until(lambda: all(Path(run["dir"], "up").exists() for run in self.runs.values()), PATIENCE)

    @property
    def ids(self) -> list[str]:
        return [run["id"] for run in self.runs.values()]

    def processes(self) -> dict[int, str]:
        """The live processes of the trials, with the kind of each."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    environment = (entry / "environ").read_bytes().split(b"\0")
                    for name, run in self.runs.items():
                        if f"RUND_RUN_ID={run['id']}".encode() in environment:
                            found[int(entry.name)] = name
        return found

    def shim(self, name: str) -> int:
        run = self.runs[name]["id"]
        started = read_facts(self.machine.home / "attempts" / run[:2] / f"{run}-1").started
        assert started is not None
        return started.shim_pid

    def await_ends(self) -> dict[str, tuple[str, str]]:
        """Wait for the ends of all; answers status and reason of each."""
        waiting = [BIN / "runctl", "wait", *self.ids]
        subprocess.run(waiting, env=self.machine.env, capture_output=True, timeout=PATIENCE, check=False)
        assert self.processes() == {}, "no end is told while anything of it is alive"
        gave_up = [name for name, run in self.runs.items() if Path(run["dir"], "gave-up").exists()]
        assert gave_up == [], "they were ended, and did not end by themselves"
        shown = {name: self.machine.json("show", run["id"])["run"] for name, run in self.runs.items()}
        return {name: (run["status"], run["reason"]) for name, run in shown.items()}


def start(machine: Machine) -> None:
    machine.start(RUND_SLOTS="8", RUND_GRACE="0.5")


ALL = KINDS | DAEMON
STOPPED = dict.fromkeys(ALL, ("terminated", "stopped"))


def test_a_stop_ends_all_that_a_trial_has_started(machine: Machine) -> None:
    start(machine)
    stubborn = Stubborn(machine, ALL)
    machine.ctl("stop", "--no-wait", *stubborn.ids, check=True)
    assert stubborn.await_ends() == STOPPED


def test_a_daemon_that_comes_back_stops_what_the_one_before_started(machine: Machine) -> None:
    start(machine)
    stubborn = Stubborn(machine, ALL)
    machine.kill()
    start(machine)
    machine.ctl("stop", "--no-wait", *stubborn.ids, check=True)
    assert stubborn.await_ends() == STOPPED


def test_a_stop_is_carried_through_by_the_next_daemon(machine: Machine) -> None:
    start(machine)
    stubborn = Stubborn(machine, ALL)
    machine.ctl("stop", "--no-wait", *stubborn.ids, check=True)
    machine.kill()
    start(machine)
    assert stubborn.await_ends() == STOPPED


@pytest.mark.parametrize("restarted", [False, True], ids=["same daemon", "next daemon"])
def test_what_has_lost_its_shim_is_stopped_by_what_it_holds(machine: Machine, restarted: bool) -> None:
    start(machine)
    stubborn = Stubborn(machine, KINDS)
    for name in KINDS:
        os.kill(stubborn.shim(name), signal.SIGKILL)
    if restarted:
        machine.kill()
        start(machine)
    machine.ctl("stop", "--no-wait", *stubborn.ids, check=True)
    assert stubborn.await_ends() == dict.fromkeys(KINDS, ("terminated", "stopped"))


def test_what_a_trial_leaves_behind_at_its_end_is_ended_too(machine: Machine) -> None:
    start(machine)
    kinds = {
        name: f"if os.fork() == 0:\n{_indented(code)}\nwhile not os.path.exists('up'):\n    time.sleep(0.01)\n"
        for name, code in ALL.items()
    }
    stubborn = Stubborn(machine, kinds)
    assert stubborn.await_ends() == dict.fromkeys(ALL, ("completed", None))


def _indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())
