"""Folders of clients that hang, as those of a disk that is out of reach do: nobody waits but who wants them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rund.protocol.encoding import encode_request
from tests.faults.kill_points import require_strace
from tests.process.batch_client import BatchClient
from tests.process.conftest import Machine, wait_until

# What looks at a path, or executes what is there; a question mark: where this processor has it.
_LOOKS = "?stat,?access,newfstatat,faccessat,?faccessat2,?statx,execve"
_FOREVER = 2_000_000_000  # microseconds


def hang(machine: Machine, path: Path) -> None:
    """Have the machine's next daemon, and all that it starts, wait at ``path``, until `answer_again`."""
    machine.launcher = [
        *("strace", "-f", "-qq", "-o", os.devnull, "-P", path),
        *("-e", f"trace={_LOOKS}", "-e", f"inject={_LOOKS}:delay_enter={_FOREVER}"),
    ]


def answer_again(machine: Machine) -> None:
    """Have nobody wait any more: the tracer ends, and what it has traced goes on."""
    machine.kill()


@contextlib.contextmanager
def many_ask(machine: Machine, method: str, clients: int = 40, **params: object) -> Iterator[None]:
    """So many clients, each with a request that it waits for; they leave at the end."""
    with contextlib.ExitStack() as stack:
        for number in range(clients):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(machine.socket))
            client.sendall(encode_request(number, method, [params]))
        yield


def sockets(pid: int) -> int:
    """How many a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed
            found += str(entry.readlink()).startswith("socket:")
    return found


@pytest.mark.timeout(400)
def test_a_folder_of_the_path_that_hangs_holds_up_the_run_that_looks_there_and_no_other(machine: Machine) -> None:
    require_strace()
    hung = machine.folder / "hung"
    hang(machine, hung / "python3")
    machine.start(RUND_SLOTS="2")
    machine.script("plain.py", "print('ran')\n")
    path = {"PATH": f"{hung}:{machine.env['PATH']}"}
    hanging = json.loads(machine.ctl("run", "-d", "plain.py", "--json", env=path, check=True).stdout)["run"]["id"]
    wait_until(lambda: machine.json("show", hanging)["run"]["status"] == "running")
    assert machine.ctl("run", "plain.py", check=True).stdout == "ran\n"
    answer_again(machine)
    machine.ctl("wait", hanging, check=True)
    assert machine.ctl("logs", hanging, check=True).stdout == "ran\n", "it has found the next python3"


@pytest.mark.timeout(400)
def test_a_project_that_hangs_holds_up_whoever_runs_there_and_lets_go_of_those_who_leave(machine: Machine) -> None:
    require_strace()
    hung = machine.folder / "hung"
    hung.mkdir()
    (hung / "job.py").write_text("print('ran there')\n")
    hang(machine, hung / "job.py")
    machine.start()
    machine.script("plain.py", "print('ran')\n")
    honest = BatchClient(machine)
    pid = honest.call("status")["pid"]
    before = sockets(pid)
    with many_ask(machine, "run", operation="job.py", cwd=str(hung), env=machine.env):
        for _ in range(3):
            run = honest.done(honest.run("plain.py"))["run"]["id"]
            assert honest.call("output", run=run)["data"] == b"ran\n"
        honest.call("delete", runs=[run])
        assert honest.call("purge", runs=[run])["left"] == []
    wait_until(lambda: sockets(pid) < before + 20)  # it has others besides those of its clients
    answer_again(machine)
    wait_until(lambda: honest.call("status")["pid"] == pid)
    there = honest.done(honest.run("job.py", cwd=str(hung)))["run"]["id"]
    assert honest.call("output", run=there)["data"] == b"ran there\n"
    honest.close()


@pytest.mark.timeout(400)
def test_a_run_whose_project_hangs_is_shown_and_so_are_the_outputs_of_others(machine: Machine) -> None:
    require_strace()
    missing = machine.project / "missing.csv"
    hang(machine, missing)
    machine.start()
    machine.script("reads.py", "open('missing.csv')\n")
    honest = BatchClient(machine)
    run = honest.done(honest.run("reads.py"))["run"]["id"]
    with many_ask(machine, "show", run=run), many_ask(machine, "hello", home=str(missing)):
        assert b"FileNotFoundError" in honest.call("output", run=run)["data"]
        shown = honest.call("show", run=run)
        assert (shown["run"]["status"], shown["hint"]) == ("error", None)
    answer_again(machine)
    honest.close()


@pytest.mark.timeout(400)
def test_batches_whose_project_hangs_keep_nobody_from_what_takes_much_memory(machine: Machine) -> None:
    require_strace()
    hung = machine.folder / "hung"
    (hung / "data").mkdir(parents=True)
    (hung / "rund.toml").touch()
    (hung / "job.py").write_text("a = b = 1\ntext = ''\n")
    (hung / "data" / "numbers.txt").write_text("1\n")
    hang(machine, hung / "data" / "numbers.txt")
    machine.start()
    honest = BatchClient(machine)
    there = {"operation": "job.py", "cwd": str(hung), "env": machine.env, "force_flags": True, "stage": True}
    asked: list[dict[str, object]] = [
        {"args": ["a=range[1:300000]"]},
        {"flags": {"a": list(range(300_000))}},
        {"args": ["a=range[1:600]", "b=range[1:600]"]},
        {"args": ["a=range[1:1000]", "text=" + "x" * 60_000]},
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(answer_again, machine)
        for each in asked:
            stack.enter_context(many_ask(machine, "run", clients=1, **there, **each))
        for _ in range(3):
            made = honest.run("/bin/true", "a=range[1:300000]", force_flags=True, stage=True, max_trials=2)
            assert len(made["trials"]) == 2
    honest.close()
