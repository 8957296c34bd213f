"""Odd places and surroundings: homes by links and copies, users without a name, masks, missing streams and folders."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.process.conftest import BIN, DEADLINE, Machine

ECHO = "x = 1\nprint(x)\n"


def by_default(machine: Machine, user: str) -> dict[str, str]:
    """The environment of somebody whose home folder is ``user``, and who sets none of rund's variables."""
    own = {name: value for name, value in machine.env.items() if name not in ("RUND_HOME", "RUND_SOCKET")}
    return own | {"HOME": str(machine.folder / user)}


def ask(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """A `runctl` command in just this environment."""
    command = [BIN / "runctl", *args]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_home_is_the_same_by_a_symbolic_link(served: Machine) -> None:
    link = served.folder / "link"
    link.symlink_to(served.home)
    linked = {"RUND_HOME": str(link)}
    status = served.ctl("status", env=linked, check=True)
    assert str(served.home) in status.stdout
    served.script("echo.py", ECHO)
    assert served.ctl("run", "echo.py", env=linked, check=True).stdout == "1\n"


def test_a_copied_home_folder_does_not_lead_to_the_daemon_of_the_first(machine: Machine) -> None:
    first, second = by_default(machine, "first"), by_default(machine, "second")
    (machine.folder / "first").mkdir()
    try:
        assert ask(first, "daemon", "start").returncode == 0
        home = machine.folder / "first" / ".local" / "share" / "rund"
        note = machine.folder / "second" / ".local" / "share" / "rund" / "socket"
        note.parent.mkdir(parents=True)
        shutil.copy(home / "socket", note)
        assert ask(second, "status", "--no-start").returncode == 3
        assert f"home     {home}\n" in ask(first, "status", "--no-start").stdout
    finally:
        ask(first, "daemon", "stop")


def test_a_user_without_a_name_is_served(machine: Machine) -> None:
    unknown = machine.folder / "unknown"
    unknown.mkdir()
    (unknown / "sitecustomize.py").write_text(
        "import pwd\ndef unknown(uid):\n    raise KeyError(uid)\npwd.getpwuid = unknown\n"
    )
    machine.env["PYTHONPATH"] = str(unknown)
    machine.script("echo.py", ECHO)
    machine.start()
    assert machine.ctl("run", "echo.py", check=True).stdout == "1\n"
    assert f"by {os.getuid()} on" in machine.ctl("show", "@1", check=True).stdout
    machine.ctl("service", "status")
    without = {name: value for name, value in machine.env.items() if name not in ("HOME", "RUND_HOME")}
    for command in ("status", "doctor"):
        told = ask(without, command)
        assert told.returncode == 2
        assert told.stderr == f"runctl: user {os.getuid()} has no home folder here: set HOME to a folder\n"
    refused = subprocess.run([BIN / "rund"], env=without, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert refused.returncode == 78
    assert refused.stderr == f"rund: user {os.getuid()} has no home folder here: set HOME to a folder\n"


def test_a_relative_runtime_folder_is_ignored(machine: Machine) -> None:
    # What is used instead lies outside of this test's folder, under a name that no other home has.
    machine.env["XDG_RUNTIME_DIR"] = "run"
    assert machine.ctl("daemon", "start").returncode == 0
    assert machine.socket.parent == Path(f"/tmp/rund-{os.getuid()}")
    assert machine.ctl("status", "--no-start", cwd=machine.folder).returncode == 0
    machine.ctl("daemon", "stop", check=True)
    assert not machine.socket.exists()


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
def test_what_is_made_is_its_owners_whatever_the_umask_is(machine: Machine, umask: int) -> None:
    machine.home = machine.folder / "data" / "rund"
    machine.env |= {"RUND_HOME": str(machine.home), "XDG_RUNTIME_DIR": str(machine.folder / "made" / "run")}
    machine.script("echo.py", ECHO)
    assert machine.ctl("run", "echo.py", umask=umask, check=True).stdout == "1\n"
    folders = [machine.home.parent, machine.home, machine.folder / "made", machine.folder / "made" / "run"]
    folders += [path for path in machine.home.iterdir() if path.is_dir()]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in folders} == {"0o700"}
    files = [path for path in machine.home.iterdir() if path.is_file()]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {"0o600"}


def test_a_daemon_without_standard_streams_writes_its_log_into_nothing_else(machine: Machine) -> None:
    machine.launcher = ["sh", "-c", 'exec "$0" <&- >&- 2>&-']
    daemon = machine.start()
    for number in range(3):
        assert Path(f"/proc/{daemon.pid}/fd/{number}").readlink() == Path("/dev/null")
    machine.script("echo.py", ECHO)
    assert machine.ctl("run", "echo.py", check=True).stdout == "1\n"


@pytest.mark.parametrize("command", ["run echo.py", "restart @1", "backup there.db", "list"])
def test_who_stands_in_a_folder_that_was_removed_is_told_where_it_matters(served: Machine, command: str) -> None:
    gone = served.folder / "gone"
    gone.mkdir()
    there = subprocess.run(
        ["sh", "-c", f'rmdir "$PWD" && exec runctl {command}'],
        env=served.env,
        cwd=gone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if command == "list":
        assert there.returncode == 0
    else:
        assert there.returncode == 2
        assert there.stderr == "runctl: the folder that you are in was removed: change to one that is there\n"
