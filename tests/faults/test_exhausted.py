"""File descriptors or processes used up: honest clients are served, trials wait, and are started when there is room."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from runctl.client import Client

from rund.descriptors import share_out
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

WAIT = "import os, time\nx = 1\nwhile not os.path.exists('{folder}/go'):\n    time.sleep(0.05)\n"


def limited(limit: str, number: int) -> list[str | Path]:
    return ["prlimit", f"--{limit}={number}:{number}"]


def statuses(client: Client, batch: str) -> list[str]:
    return [run["status"] for run in client.call("list", batch=batch, limit=100)["runs"]]


def test_without_descriptors_clients_are_told_and_trials_wait_until_there_are_some(machine: Machine) -> None:
    _require("prlimit")
    limit = 100
    runs = share_out(limit, soft=limit).runs
    machine.launcher = limited("nofile", limit)
    machine.start(RUND_SLOTS="40")
    machine.script("wait.py", WAIT.format(folder=machine.project))
    with Client(machine.env, start=False) as client, ExitStack() as stack:
        # Clients that say nothing take all that clients may have.
        for _ in range(60):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(machine.socket))
        assert "serves" in machine.ctl("list", "--no-start").stderr, "who is turned away is told"
        batch = client.call(
            "run", operation="wait.py", args=[f"x={list(range(40))}"], cwd=str(machine.project), env=machine.env
        )["run"]["id"]
        wait_until(lambda: statuses(client, batch).count("running") == runs)
        assert statuses(client, batch).count("pending") == 40 - runs
        assert client.call("status")["counts"]["pending"] == 40 - runs
        stack.close()
        wait_until(lambda: machine.ctl("list", "--no-start").returncode == 0)
        (machine.project / "go").touch()
        client.call("wait", runs=[batch])
        found = client.call("list", batch=batch, limit=100)["runs"]
        assert [(run["status"], run["attempts"]) for run in found] == [("completed", 1)] * 40


@pytest.fixture
def other_user(machine: Machine) -> Iterator[list[str | Path]]:
    """What is put before a command for its processes to count as those of a user who has no others, and is no root."""
    _require("setpriv", "prlimit")
    if os.geteuid() != 0:
        pytest.skip("only root may start processes that count as another user's")
    with ExitStack() as stack:
        numbers = (number for number in range(2, 100) if _is_a_user(number) and not _has_processes(number))
        number = next((number for number in numbers if _takes(number, stack)), None)
        if number is None:
            pytest.skip("every user of this machine has processes")
        # Files stay root's, the count of processes is the other's: and whoever may exceed limits is not bound by them.
        yield [
            "setpriv",
            f"--ruid={number}",
            "--bounding-set=-sys_resource,-sys_admin",
            "--inh-caps=-sys_resource,-sys_admin",
        ]
        machine.close()  # before another copy of this test may have the user


def _takes(number: int, stack: ExitStack) -> bool:
    """Whether no other copy of this test has the user ``number``, until ``stack`` is closed."""
    lock = os.open(f"{tempfile.gettempdir()}/rund-test-user-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_without_processes_trials_wait_until_there_are_some(machine: Machine, other_user: list[str | Path]) -> None:
    # As many as the daemon, its threads and the fork server are, and a few trials with their shims.
    machine.launcher = [*other_user, *limited("nproc", 30)]
    machine.start(RUND_SLOTS="30")
    machine.script("wait.py", WAIT.format(folder=machine.project))
    with Client(machine.env, start=False) as client:
        batch = client.call(
            "run", operation="wait.py", args=[f"x={list(range(30))}"], cwd=str(machine.project), env=machine.env
        )["run"]["id"]
        log = machine.folder / "rund.log"
        wait_until(lambda: "starts wait" in log.read_text())
        # It is logged before it is recorded that they wait again.
        wait_until(lambda: "pending" in statuses(client, batch))
        assert {"running", "pending"} >= set(statuses(client, batch))
        assert client.call("status")["pid"] == machine.daemons[-1].pid
        (machine.project / "go").touch()
        client.call("wait", runs=[batch])
        runs = client.call("list", batch=batch, limit=100)["runs"]
        assert [(run["status"], run["attempts"], run["reason"]) for run in runs] == [("completed", 1, None)] * 30


def test_a_daemon_that_can_start_no_thread_says_so_in_one_line(machine: Machine, other_user: list[str | Path]) -> None:
    command = [*other_user, *limited("nproc", 1), BIN / "rund"]
    done = subprocess.run(command, env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("rund: no thread can be started"), done.stderr
    assert "Traceback" not in done.stderr


def test_a_daemon_that_waits_for_threads_as_it_starts_can_be_ended(
    machine: Machine, other_user: list[str | Path]
) -> None:
    threads = 4  # with one more it would look into its store
    daemon = subprocess.Popen([*other_user, *limited("nproc", threads), BIN / "rund"], env=machine.env)
    machine.daemons.append(daemon)
    tasks = Path(f"/proc/{daemon.pid}/task")
    wait_until(lambda: daemon.poll() is not None or len(list(tasks.iterdir())) == threads)
    daemon.terminate()
    assert daemon.wait(DEADLINE) != 0


def _is_a_user(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _has_processes(number: int) -> bool:
    for entry in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = entry.read_text().splitlines()
        except OSError:
            continue
        if any(line.startswith("Uid:") and line.split()[1] == str(number) for line in lines):
            return True
    return False


def test_a_daemon_that_may_open_too_few_files_says_so(machine: Machine) -> None:
    _require("prlimit")
    started = subprocess.run(
        [*limited("nofile", 79), BIN / "rund"],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert started.returncode == 78
    assert started.stderr == "rund: only 79 files may be open at once, and rund needs 80: see ulimit -Hn\n"


def _require(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        assert os.environ.get("CI") != "true", f"install {', '.join(missing)}: these tests must not be skipped here"
        pytest.skip(f"missing: {', '.join(missing)}")
