"""The power is cut at a system call of the daemon: every acknowledged change is there, and nothing runs twice.

The store is on an ext4 of its own, in an image.  At the call the daemon is killed and the image copied as it is: what
was not flushed is not in it.  The next daemon has the copy, and another boot id.  `RUND_FULL=1` makes the sweep close,
and shows that a flush left out is found, be it of a commit or of the record of a trial's end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from runctl import NoDaemonError
from runctl.client import Client
from runctl.reach import connect

from rund.executor.locks import BOOT_ID_FILE
from tests.faults.attaching import attach
from tests.faults.broken_package import Break, broken_package
from tests.faults.full_form import FULL
from tests.faults.kill_points import KillPoint, require_strace
from tests.faults.power_cut import RAN, STEPS, Check, acknowledged_steps, all_end_well
from tests.faults.small_disk import Disk, held, make_image, mount_command, require
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

MIB = 1_048_576


class Cut(NamedTuple):
    """The call at which the power is cut: of any thread, counted from the daemon's start or from when it serves.

    Whatever a start makes as many calls of comes too early for the work that is done then.
    """

    name: str
    number: int
    serving: bool = False

    def __str__(self) -> str:
        return f"{self.name}-{self.number}-{'serving' if self.serving else 'starting'}"

    def tracer(self) -> list[str]:
        """What kills there."""
        return KillPoint(self.name, self.number).launcher(follow=True)


AT_THE_END = Cut("mkdir", 1_000)
# As many as the steps make in one thread; the next after the last: when all is done.
CALLS = {
    "fdatasync": 18,
    "fsync": 8,
    "rename": 3,
    "renameat": 3,
    "mkdir": 24,
    "ftruncate": 6,
    "fallocate": 3,
    "pwrite64": 640,
}
# The same from when it serves on; what is left out comes so late that it is met from its start on, too.
CALLS_SERVING = {"fdatasync": 10, "mkdir": 13, "pwrite64": 150}
REDUCED = [
    Cut("fdatasync", 6),
    Cut("fdatasync", 3, serving=True),
    Cut("fdatasync", 8, serving=True),
    Cut("fdatasync", 10, serving=True),
    Cut("pwrite64", 260),
    Cut("fsync", 2),
    AT_THE_END,
]
# Lives until it is told to end; what it leaves and waits for is on another disk than the store's.
GATED = "#!/bin/sh\n: > '{folder}/begun'\nwhile [ ! -e '{folder}/go' ]; do sleep 0.05; done\nexit 3\n"
# A daemon that leaves out the flush of its commits.
SABOTAGED = """
import rund.store.writing as writing
from rund.cli import main

open_writer = writing.open_writer

def without_flush(path):
    connection = open_writer(path)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection

writing.open_writer = without_flush
main()
"""


def points() -> list[Cut]:
    """All calls at which the power is cut."""
    if not FULL:
        return REDUCED
    return [AT_THE_END] + [
        Cut(name, number, serving)
        for serving, calls in ((False, CALLS), (True, CALLS_SERVING))
        for name, last in calls.items()
        for number in range(1, last + 1, 8 if name == "pwrite64" else 1)
    ]


@pytest.mark.parametrize("point", points(), ids=str)
def test_every_acknowledged_change_outlives_a_power_cut(
    machine: Machine, point: Cut, record_property: Callable[[str, object], None]
) -> None:
    record_property("points", 1)
    assert cut_and_look(machine, point, [BIN / "rund"]) == []


@pytest.mark.skipif(not FULL, reason="slow machines flush by themselves: only with RUND_FULL=1")
def test_a_flush_that_is_left_out_is_found(machine: Machine) -> None:
    wrong = cut_and_look(machine, AT_THE_END, [sys.executable, "-c", SABOTAGED])
    assert [line for line in wrong if "lost" in line or "are missing" in line], wrong


def test_an_end_that_came_while_no_daemon_ran_outlives_a_power_cut(machine: Machine) -> None:
    assert end_alone_and_cut(machine) == ("error", "exit 3", 1)


@pytest.mark.skipif(not FULL, reason="slow machines flush by themselves: only with RUND_FULL=1")
def test_a_flush_of_an_end_that_is_left_out_is_found(machine: Machine) -> None:
    flushes = ("os.fsync(self._exit)", "os.fsync(self.directory)")
    breaks = [Break("executor/shim_records.py", flush, "pass") for flush in flushes]
    machine.env["PYTHONPATH"] = str(broken_package(machine.folder / "broken", *breaks))
    assert end_alone_and_cut(machine) == ("error", "lost: the machine restarted", 1)


def end_alone_and_cut(machine: Machine) -> tuple[str, str, int]:
    """Status, reason and attempts of a run that ended after its daemon was killed, just before the power was cut."""
    require()
    image, cut = machine.folder / "disk.img", machine.folder / "cut.img"
    machine.home.mkdir(mode=0o700)
    machine.env["RUND_SOCKET"] = str(machine.folder / "socket")
    machine.script("gated.sh", GATED.format(folder=machine.project)).chmod(0o755)
    make_image(image, size=24 * MIB)
    with held(mounted(machine, image)) as holder:
        machine.launcher = Disk(machine.home, holder).launcher
        machine.start()
        run = machine.json("run", "-d", "gated.sh")["run"]["id"]
        wait_until((machine.project / "begun").exists)
        machine.kill()
        (machine.project / "go").touch()
        wait_until(lambda: not machine.processes())  # its shim has recorded it
        shutil.copyfile(image, cut)
    with held(mounted(machine, cut)) as holder:
        machine.launcher = Disk(machine.home, holder).launcher
        machine.start()
        machine.ctl("wait", run)
        found = machine.json("show", run)["run"]
        machine.close()
    return found["status"], found["reason"], found["attempts"]


def cut_and_look(machine: Machine, point: Cut, program: list[str | Path]) -> list[str]:
    """What is wrong after the power was cut at ``point`` of the daemon ``program``."""
    require_strace()
    require()
    ran, image, cut = machine.folder / "ran", machine.folder / "disk.img", machine.folder / "cut.img"
    ran.mkdir()
    machine.home.mkdir(mode=0o700)
    machine.env["RUND_SOCKET"] = str(machine.folder / "socket")
    machine.script("ran.sh", RAN.format(folder=ran)).chmod(0o755)
    make_image(image, size=24 * MIB)
    checks: list[Check] = []
    is_met = True
    with held(mounted(machine, image)) as holder:
        daemon = start(machine, Disk(machine.home, holder), point, program)
        # A connection alone: a client would wait for the next daemon.
        connection = connect(machine.env)
        with suppress(NoDaemonError), connection or nullcontext():
            params: dict[str, Any] = {"operation": "ran.sh", "cwd": str(machine.project), "env": machine.env}
            for check in acknowledged_steps(connection, params) if connection else ():
                checks.append(check)
            is_met = connection is None
        end_all(machine)
        shutil.copyfile(image, cut)
        daemon.wait(DEADLINE)
    with held(mounted(machine, cut)) as holder:
        machine.launcher = Disk(machine.home, holder).launcher
        try:
            machine.start()
        except AssertionError as refusal:
            return [f"the next daemon does not start: {refusal}"]
        with Client(machine.env, start=False) as client:
            wrong = [line for check in checks for line in check(client)]
            wrong += all_end_well(client, ran)
            if not is_met and len(checks) < STEPS:
                wrong.append(f"only {len(checks)} steps were acknowledged")
        machine.close()
    return wrong


def mounted(machine: Machine, image: Path) -> str:
    """The command that mounts ``image`` at the home, on a machine that has just been booted."""
    boot = machine.folder / f"boot-{image.name}"
    boot.write_text(f"{uuid.uuid4()}\n")
    return f"{mount_command(image, machine.home)} && mount --bind '{boot}' {BOOT_ID_FILE}"


def start(machine: Machine, disk: Disk, point: Cut, program: list[str | Path]) -> subprocess.Popen[bytes]:
    """A daemon that is killed at ``point`` of any of its threads; it may be so before it serves."""
    command = [*disk.launcher, *([] if point.serving else point.tracer()), *program]
    with (machine.folder / "rund.log").open("ab") as log:
        daemon = subprocess.Popen(command, env=machine.env, stdin=subprocess.DEVNULL, stderr=log)
    machine.daemons.append(daemon)
    wait_until(lambda: daemon.poll() is not None or answers(machine))
    if point.serving:
        machine.daemons.insert(0, attach(point.tracer(), machine.processes()))
    return daemon


def answers(machine: Machine) -> bool:
    try:
        Client(machine.env, start=False).close()
    except NoDaemonError:
        return False
    return True


def end_all(machine: Machine) -> None:
    """End the daemon, if the call did not come, and all that it has started, at once."""
    while pids := machine.processes():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not [pid for pid in pids if is_alive(pid)])


def is_alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
