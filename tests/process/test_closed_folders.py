"""What an attempt has closed to its own user hinders neither it nor others: with a daemon that has no rights of root."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

# A daemon of root's that may do no more than any other user: with what it owns, that is.
_NO_MORE_RIGHTS = """
import ctypes, os, sys
for capability in range(64):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; others have none to drop
os.execv(sys.argv[1], sys.argv[1:])
"""

# Closes what is asked for: its own folder, or one of the files there.
CLOSES = """
import os, time
what = ""
out = os.readlink("/proc/self/fd/1")
path = os.path.join(os.path.dirname(out), what)
os.chmod(path, 0)
place = os.environ["RUND_PROJECT_DIR"]
open(place + "/closed", "w").close()
while not os.path.exists(place + "/go"):
    time.sleep(0.02)
print("score: 3")
"""
WAITS = "import os, time\nwhile not os.path.exists(os.environ['RUND_PROJECT_DIR'] + '/go'):\n    time.sleep(0.02)\n"


@pytest.fixture
def machine(machine: Machine) -> Machine:
    machine.launcher = [sys.executable, "-c", _NO_MORE_RIGHTS]
    machine.script("closes.py", CLOSES)
    machine.script("waits.py", WAITS)
    return machine


def closed(machine: Machine, what: str) -> str:
    """A run that lives, and has closed this file of its attempt, or the folder."""
    run: str = machine.json("run", "-d", "closes.py", f"what={what or '.'}")["run"]["id"]
    wait_until((machine.project / "closed").exists)
    return run


@pytest.mark.parametrize("again", [False, True], ids=["one daemon", "the next daemon"])
@pytest.mark.parametrize("what", ["", "shim.lock", "trial.lock", "started", "exit", "output"])
def test_what_has_closed_its_folder_or_files_ends_as_it_does(machine: Machine, what: str, again: bool) -> None:
    daemon = machine.start()
    run = closed(machine, what)
    other: str = machine.json("run", "-d", "waits.py")["run"]["id"]
    if again:
        machine.kill()
        daemon = machine.start()
    (machine.project / "go").touch()
    assert machine.ctl("wait", run, other).returncode == 0
    seen = machine.json("show", run)["run"]
    assert (seen["status"], seen["reason"], seen["attempts"]) == ("completed", None, 1)
    assert seen["scalars"] == {"score": 3}
    assert daemon.poll() is None


def test_what_has_closed_its_folder_can_be_stopped(machine: Machine) -> None:
    machine.start()
    run = closed(machine, "")
    machine.kill()
    daemon = machine.start()
    machine.ctl("stop", run, check=True)
    assert machine.json("show", run)["run"]["reason"] == "stopped"
    assert daemon.poll() is None


def test_runs_whose_folders_were_closed_above_are_taken_back_when_they_are_open_again(machine: Machine) -> None:
    machine.start()
    run: str = machine.json("run", "-d", "waits.py")["run"]["id"]
    machine.kill()
    attempts = machine.home / "attempts"
    attempts.chmod(0)
    try:
        daemon = machine.start()
        (machine.project / "go").touch()
        assert machine.json("show", run)["run"]["status"] == "running"
    finally:
        attempts.chmod(0o700)
    assert machine.ctl("wait", run).returncode == 0
    assert daemon.poll() is None


def test_a_home_that_is_closed_ends_no_daemon_and_keeps_no_client_out(machine: Machine) -> None:
    daemon = machine.start()
    path = machine.socket
    machine.home.chmod(0)
    try:
        path.unlink()
        wait_until(path.exists)
        # Once when the socket is made again, then as often as it is looked for.
        wait_until(lambda: (machine.folder / "rund.log").read_text().count("/home/socket cannot be written") > 1)
    finally:
        machine.home.chmod(0o700)
    assert machine.json("status", "--no-start")["pid"] == daemon.pid


def test_a_folder_above_the_socket_that_is_closed_ends_no_daemon(machine: Machine) -> None:
    daemon = machine.start()
    runtime = machine.folder / "run"
    runtime.chmod(0)
    try:
        (machine.home / "news").touch()  # it looks at everything then
        wait_until(lambda: "cannot be made again" in (machine.folder / "rund.log").read_text())
    finally:
        runtime.chmod(0o700)
    wait_until(machine.is_served)
    assert machine.json("status", "--no-start")["pid"] == daemon.pid


@pytest.mark.parametrize("name", ["", "lock"])
def test_what_keeps_a_home_from_being_locked_is_opened_and_the_rest_is_mended(machine: Machine, name: str) -> None:
    machine.start()
    machine.kill()
    closed, other = machine.home / name, machine.home / "attempts"
    if not name:
        (machine.home / "lock").unlink()
    for path in (other, closed):
        path.chmod(0o400)
    command = [*machine.launcher, str(BIN / "runctl"), "doctor", "--json"]

    def doctor(*more: str) -> Any:
        done = subprocess.run([*command, *more], env=machine.env, capture_output=True, text=True, timeout=DEADLINE)
        return json.loads(done.stdout)

    try:
        todo = {each["what"]: each["todo"] for each in doctor()["findings"] if each["level"] == "wrong"}
        mode = "600" if name else "700"
        assert todo[f"{closed} is closed to its owner"] == f"`chmod {mode} {closed}`, or doctor --fix"
        found = doctor("--fix")
        assert found["wrong"] == 0, found
    finally:
        machine.home.chmod(0o700)
    mended = {each["what"] for each in found["findings"] if each["level"] == "fixed"}
    assert {f"{path} was closed to its owner" for path in (closed, other)} <= mended
    assert other.stat().st_mode & 0o777 == 0o700
    assert doctor()["wrong"] == 0


def test_a_home_that_is_closed_to_its_owner_is_told_as_ones_own(machine: Machine) -> None:
    machine.start()
    machine.kill()
    machine.home.chmod(0)
    command = [*machine.launcher, str(BIN / "runctl"), "doctor", "--fix", "--json"]
    try:
        done = subprocess.run(command, env=machine.env, capture_output=True, text=True, timeout=DEADLINE)
        # It may be any folder: who cannot see that it is a home changes nothing.
        assert machine.home.stat().st_mode & 0o777 == 0
    finally:
        machine.home.chmod(0o700)
    (told,) = (each for each in json.loads(done.stdout)["findings"] if each["check"] == "home")
    assert told["what"] == f"{machine.home} is closed to its owner"
    assert told["todo"] == f"`chmod 700 {machine.home}`, then again"
