"""The machine's clock is set back and forward by an hour, and a daemon is away for a month: times and order stay sane."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.broken_package import Break, broken_package
from tests.process.conftest import Machine, wait_until

HOUR = 3600.0
MONTH = 30 * 86_400.0

# All that rund knows of the time goes through one module; what its copy sees is moved by what stands in a file.
MOVED = """import time as _machine


class _Moved:
    def __getattr__(self, name):
        return getattr(_machine, name)

    def time(self):
        with open({offset!r}) as file:
            return _machine.time() + float(file.read())


time = _Moved()
"""
GATED = """#!/bin/sh
touch "$RUND_PROJECT_DIR/live$FLAG_X"
while [ ! -e "$RUND_PROJECT_DIR/go$FLAG_X" ]; do sleep 0.05; done
touch "$RUND_PROJECT_DIR/over$FLAG_X"
"""


class Clock:
    """A machine whose clock can be set, for the daemon and its shims."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self._offset = folder / "offset"
        self.set(0.0)
        package = broken_package(
            folder / "package", Break("clock.py", "import time\n", MOVED.format(offset=str(self._offset)))
        )
        machine.env["PYTHONPATH"] = str(package)
        machine.script("gated.sh", GATED).chmod(0o755)
        machine.start()

    def set(self, offset: float) -> None:
        """Move it, from the true time, by ``offset`` seconds."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(offset))
        new.replace(self._offset)

    def start(self, x: int) -> str:
        """A run that lives."""
        run: str = self.machine.json("run", "-d", "--force-flags", "./gated.sh", f"x={x}")["run"]["id"]
        wait_until(lambda: (self.machine.project / f"live{x}").exists())
        return run

    def let_end(self, x: int) -> None:
        """Let the run with this flag end, whether or not a daemon runs."""
        (self.machine.project / f"go{x}").touch()
        wait_until(lambda: (self.machine.project / f"over{x}").exists())

    def end(self, x: int, run: str) -> dict[str, Any]:
        """The run, when it has ended."""
        self.let_end(x)
        self.machine.ctl("wait", run, check=True)
        found: dict[str, Any] = self.machine.json("show", run)["run"]
        assert found["status"] == "completed"
        return found


@pytest.fixture
def clock(machine: Machine, tmp_path: Path) -> Clock:
    return Clock(machine, tmp_path)


def took(run: dict[str, Any]) -> float:
    """Seconds, by its own times."""
    return float(run["stopped"] - run["started"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("restart", [False, True], ids=["one daemon", "a new daemon at each time"])
def test_a_clock_set_back_and_forward_keeps_order_and_durations(clock: Clock, restart: bool) -> None:
    begun = time.monotonic()
    machine = clock.machine

    def set_clock(offset: float) -> None:
        clock.set(offset)
        if restart:
            machine.kill()
            machine.start()

    ended: list[dict[str, Any]] = []
    first, second = clock.start(1), clock.start(2)
    set_clock(-HOUR)
    ended.append(clock.end(1, first))
    third = clock.start(3)
    set_clock(HOUR)
    ended.append(clock.end(3, third))
    fourth = clock.start(4)
    set_clock(0.0)
    ended += [clock.end(4, fourth), clock.end(2, second)]
    whole = time.monotonic() - begun
    for run in ended:
        assert 0.0 <= took(run) <= whole + 1.0, run
    order = [run["id"] for run in machine.json("list")["runs"]]
    assert order == [fourth, third, second, first], "newest start first"


@pytest.mark.timeout(300)
def test_a_daemon_that_was_away_for_a_month_tells_the_true_times(clock: Clock) -> None:
    machine = clock.machine
    before = time.monotonic()
    run = clock.start(1)
    started = machine.json("show", run)["run"]["started"]
    machine.kill()
    clock.let_end(1)
    wait_until(lambda: not machine.processes())  # the shim has recorded it
    whole = time.monotonic() - before
    clock.set(MONTH)
    machine.start()
    machine.ctl("wait", run, check=True)
    found = machine.json("show", run)["run"]
    assert (found["status"], found["attempts"]) == ("completed", 1)
    assert abs(found["started"] - started) <= whole + 1.0
    assert 0.0 <= took(found) <= whole + 1.0
    assert machine.json("list")["runs"][0]["id"] == run
