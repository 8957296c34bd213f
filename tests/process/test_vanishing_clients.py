"""Clients that ask and are gone before they are answered: what they asked is done whole and once, or not at all."""

from __future__ import annotations

import os
from typing import Any

from runctl.client import Client
from runctl.reach import reach

from tests.faults.kill_points import require_strace
from tests.process.conftest import Machine, wait_until

CLIENTS = 25
SLOW = 5  # of them, where each commit takes this long:
FLUSH = 300_000  # microseconds


def params(machine: Machine) -> dict[str, Any]:
    """Of a batch of three trials, which are not to run."""
    machine.script("echo.py", "x = 1\n")
    given = {"operation": "echo.py", "cwd": str(machine.project), "env": machine.env}
    return given | {"stage": True, "args": ["x=[1,2,3]"]}


def check_done_once(machine: Machine, given: dict[str, Any], clients: int) -> None:
    """What so many clients asked, each under its own number, is there once."""
    with Client(machine.env, start=False) as client:
        batches = [client.call("run", request_id=f"r{number}", **given)["run"]["id"] for number in range(clients)]
        assert len(set(batches)) == clients
        found = client.call("list", limit=1000)["runs"]
        assert len(found) == 4 * clients, "each batch once, with its three trials"
        for batch in batches:
            trials = client.call("list", batch=batch)
            assert (trials["generation"], [run["flags"]["x"] for run in trials["runs"]]) == (1, [1, 2, 3])


def test_what_vanished_clients_asked_is_done_whole_and_once(served: Machine) -> None:
    given = params(served)
    for number in range(CLIENTS):
        with reach(served.env, start=False) as connection:
            connection.send("run", request_id=f"r{number}", **given)
    check_done_once(served, given, CLIENTS)


def test_what_a_client_asked_that_vanishes_in_mid_commit_is_done_whole_and_once(machine: Machine) -> None:
    require_strace()
    slow = ("-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_enter={FLUSH}")
    machine.launcher = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, *slow]
    machine.start()
    given = params(machine)
    log = machine.home / "rund.db-wal"
    for number in range(SLOW):
        before = log.stat()
        with reach(machine.env, start=False) as connection:
            connection.send("run", request_id=f"r{number}", **given)
            # It is in the log and not flushed: the client goes while it is being committed.
            wait_until(lambda before=before: log.stat().st_mtime_ns != before.st_mtime_ns)  # type: ignore[misc]
    check_done_once(machine, given, SLOW)
    machine.ctl("daemon", "stop", check=True)
