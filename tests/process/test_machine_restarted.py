"""The machine has restarted, by its boot id: what is gone is lost and not run again, what had ended has its true end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest

from rund.executor.framing import STARTED
from rund.executor.locks import BOOT_ID_FILE
from rund.executor.records import read_start
from tests.process.conftest import Machine, wait_until

# Lives until it is told to end.
GATED = """#!/bin/sh
echo "$FLAG_X" >> "$RUND_PROJECT_DIR/ran"
while [ ! -e "$RUND_PROJECT_DIR/go$FLAG_X" ]; do sleep 0.05; done
exit 4
"""
_MOUNT = f'mount --bind "$0" {BOOT_ID_FILE} && exec "$@"'


class Restarted(NamedTuple):
    """A machine that has restarted, and what was on it."""

    machine: Machine
    live: str
    ended: str
    waiting: str


def other_boot(folder: Path) -> list[str]:
    """What to put before a command for it to find another boot id; skips the test where that may not be."""
    boot_id = folder / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    launcher = ["unshare", "--mount", "sh", "-c", _MOUNT, str(boot_id)]
    if subprocess.run([*launcher, "true"], check=False, capture_output=True).returncode != 0:
        assert os.environ.get("CI") != "true", "the test of a machine that restarts must not be skipped here"
        pytest.skip("no namespace for mounts may be made")
    return launcher


@pytest.fixture
def restarted(machine: Machine) -> Restarted:
    launcher = other_boot(machine.folder)
    machine.env["RUND_SLOTS"] = "2"
    machine.script("gated.sh", GATED).chmod(0o755)
    ran = machine.project / "ran"
    machine.start()
    batch = machine.json("run", "-d", "--force-flags", "--retries", "1", "./gated.sh", "x=[1,2,3]")["trials"]
    wait_until(lambda: ran.exists() and len(ran.read_text().split()) == 2)
    machine.kill()
    (machine.project / "go2").touch()
    ended = machine.home / "attempts" / batch[1][:2] / f"{batch[1]}-1"
    wait_until(lambda: b'"exit_status": 4' in (ended / "exit").read_bytes())
    live = machine.home / "attempts" / batch[0][:2] / f"{batch[0]}-1"
    os.kill(read_start((live / STARTED).read_bytes()).shim_pid, signal.SIGKILL)
    for pid in machine.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not machine.processes())
    (machine.project / "go1").touch()
    (machine.project / "go3").touch()
    machine.launcher = launcher
    return Restarted(machine, *batch)


def test_what_was_alive_is_lost_what_had_ended_has_its_end_and_what_waited_runs(restarted: Restarted) -> None:
    machine = restarted.machine
    machine.start()
    machine.ctl("wait", restarted.live, restarted.ended, restarted.waiting)
    shown = [machine.json("show", run)["run"] for run in restarted[1:]]
    assert (shown[0]["status"], shown[0]["reason"], shown[0]["attempts"]) == ("error", "lost: the machine restarted", 1)
    assert (shown[1]["status"], shown[1]["reason"]) == ("error", "exit 4")
    assert (shown[2]["status"], shown[2]["reason"]) == ("error", "exit 4")
    ran = (machine.project / "ran").read_text().split()
    assert ran.count("1") == 1, "what is lost is not started again unasked"
    # Asked, it starts; and then fails by itself, and is started again as its batch has it.
    assert machine.ctl("restart", restarted.live).returncode != 0
    assert machine.json("show", restarted.live)["run"]["attempts"] == 3
