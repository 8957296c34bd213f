"""The daemon comes to its end once it is told to, however often, and whoever told it has gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runctl.client import Client

from rund.daemon import UNWRITTEN
from rund.protocol import encode_request
from tests.integration.serving import Client as Wire
from tests.process.conftest import DEADLINE, Machine, wait_until

STUBBORN = """#!/bin/sh
trap ': > "$RUND_PROJECT_DIR/told"' TERM
echo up
while [ ! -e "$RUND_PROJECT_DIR/go" ]; do sleep 0.05; done
"""
GRACE = "3600"  # seconds: longer than any test


@pytest.fixture
def stubborn(machine: Machine) -> Iterator[str]:
    """A run that ends when `let_go` has it end, and is being stopped until then."""
    machine.start(RUND_GRACE=GRACE)
    machine.script("stubborn.sh", STUBBORN).chmod(0o755)
    run: str = machine.json("run", "-d", "./stubborn.sh")["run"]["id"]
    wait_until(lambda: "up" in machine.ctl("logs", run).stdout)
    yield run
    let_go(machine)


def let_go(machine: Machine) -> None:
    (machine.project / "go").touch()


def fork_server(daemon: subprocess.Popen[bytes]) -> int:
    """The daemon's only child."""
    children: list[int] = []
    for thread in Path(f"/proc/{daemon.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            children += map(int, (thread / "children").read_text().split())
    [child] = children
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_any_number_of_signals_ends_the_daemon_once_and_in_order(
    machine: Machine, stubborn: str, number: signal.Signals
) -> None:
    daemon = machine.daemons[-1]
    # Its end takes some time then: a fork server that hangs is waited for.
    hanging = fork_server(daemon)
    os.kill(hanging, signal.SIGSTOP)

    def ended() -> bool:
        daemon.send_signal(number)  # nothing, once it has been waited for
        return daemon.poll() is not None

    wait_until(ended)
    assert daemon.returncode in (0, UNWRITTEN)  # the latter only if the machine stood still for seconds
    log = (machine.folder / "rund.log").read_text()
    assert "Traceback" not in log
    assert log.count("stopping") == 1
    machine.start()
    assert machine.json("show", stubborn)["run"]["status"] == "running"


def test_a_shutdown_with_runs_is_carried_through_although_its_client_is_gone(machine: Machine, stubborn: str) -> None:
    with Wire(machine.socket) as wire:
        wire.socket.sendall(encode_request(1, "shutdown", [{"with_runs": True}]))
        client = Client(machine.env, start=False)
        wait_until(lambda: client.call("show", run=stubborn)["run"]["reason"] == "stopping")
        client.close()
    wait_until((machine.project / "told").exists)  # or it would end by itself
    let_go(machine)
    assert machine.daemons[-1].wait(DEADLINE) == 0
    machine.start()
    assert machine.json("show", stubborn)["run"]["reason"] == "stopped"


def test_ctrl_c_at_a_stop_with_runs_leaves_no_daemon_that_starts_nothing(machine: Machine, stubborn: str) -> None:
    stop = machine.popen("daemon", "stop", "--with-runs")
    client = Client(machine.env, start=False)
    wait_until(lambda: client.call("show", run=stubborn)["run"]["reason"] == "stopping")
    client.close()
    stop.send_signal(signal.SIGINT)
    _, errors = stop.communicate(timeout=DEADLINE)
    assert "Traceback" not in errors
    let_go(machine)
    assert machine.daemons[-1].wait(DEADLINE) == 0
