"""System calls that fail, in the daemon, its fork server and its shims: nothing acknowledged is lost, and work goes on.

Each case fails one call, or six in a row, of every thread and process from the daemon on, counted from its start or from
when it serves: what fails already as it starts would hide the same call of threads and shims that work later.
`RUND_FULL=1` makes the sweep close: each flush, and every third write.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from runctl import NoDaemonError
from runctl.client import Client

from rund.cli import REFUSED
from rund.errors import FullError, InternalError
from tests.faults.attaching import attach
from tests.faults.full_form import FULL
from tests.faults.kill_points import require_strace
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

# It leaves one name for each time it is executed, by a call that is never made to fail.
RAN = '#!/bin/sh\nln -s x "{folder}/$RUND_RUN_ID.$$"\n'


NOWHERE = Path(os.devnull)


class Fault(NamedTuple):
    """``calls`` calls of ``name`` (0: all) that fail with ``error``, from the ``first`` on."""

    name: str
    error: str
    first: int
    calls: int
    serving: bool = False  # of a daemon that serves already: from its start on else

    def __str__(self) -> str:
        counted = "serving" if self.serving else "starting"
        return f"{self.name}-{self.error}-{self.first}-{self.calls}-{counted}"

    def tracer(self, trace: Path = NOWHERE) -> list[str | Path]:
        """What makes them fail; ``trace`` is where the calls are written to."""
        when = f"{self.first}..{self.first + self.calls - 1}" if self.calls else f"{self.first}+"
        return [
            *("strace", "-f", "-qq", "-o", trace, "-e", f"trace={self.name}"),
            *("-e", f"inject={self.name}:error={self.error}:when={when}"),
        ]

    def launcher(self, trace: Path = NOWHERE) -> list[str | Path]:
        """What to put before a command."""
        return [*self.tracer(trace), "--seccomp-bpf"]


# As many as the work below makes, in one thread; a daemon's start makes the first of them.
CALLS = {
    "pwrite64": 560,
    "fdatasync": 16,
    "fsync": 6,
    "ftruncate": 6,
    "fallocate": 2,
    "mkdir": 22,
    "rename": 2,
    "renameat": 2,
    "write": 8,
}
# The same from when it serves on; what is left out comes so late that it is met from its start on, too.
CALLS_SERVING = {
    "pwrite64": 150,
    "fdatasync": 10,
    "fsync": 4,
    "ftruncate": 2,
    "fallocate": 2,
    "mkdir": 24,
    "renameat": 2,
    "write": 6,
}
# What each shim does first fails in each shim: then runs wait until the fault is over, here with the next daemon.
OF_EACH_SHIM = {"fallocate", "ftruncate", "renameat", "write"}
AT_REST = {"completed", "error"}
REDUCED = [
    Fault("fdatasync", "EIO", 4, 1),
    Fault("fdatasync", "EIO", 7, 6),
    Fault("fdatasync", "ENOSPC", 9, 1),
    Fault("pwrite64", "EIO", 190, 1),
    Fault("pwrite64", "ENOSPC", 260, 6),
    Fault("pwrite64", "ENOSPC", 1, 1),
    Fault("fsync", "EIO", 1, 1),
    Fault("fallocate", "ENOSPC", 1, 1),
    Fault("mkdir", "ENOSPC", 12, 1),
    Fault("mkdir", "ENOSPC", 3, 1, serving=True),
    Fault("renameat", "EIO", 1, 1, serving=True),
    Fault("ftruncate", "EIO", 1, 1, serving=True),
    Fault("fsync", "EIO", 1, 6, serving=True),
]


def sweep() -> list[Fault]:
    """All faults that are tried."""
    if not FULL:
        return REDUCED
    return [
        Fault(name, error, first, calls, serving)
        for serving, numbers in ((False, CALLS), (True, CALLS_SERVING))
        for name, number in numbers.items()
        for first in range(1, number + 1, 3 if name == "pwrite64" else 1)
        for error, calls in (("EIO", 1), ("ENOSPC", 6))
    ]


class Asker:
    """A client that asks until it is answered, each request under one name."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests = 0
        self.refusals: list[str] = []

    def ask(self, method: str, **params: object) -> Any:
        self._requests += 1
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                return self._client.call(method, request_id=f"r{self._requests}", **params)
            except (FullError, InternalError) as error:
                self.refusals.append(error.message)
                assert time.monotonic() < deadline, self.refusals


@pytest.mark.parametrize("fault", sweep(), ids=str)
def test_whatever_call_fails_nothing_acknowledged_is_lost_and_work_goes_on(
    machine: Machine, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    require_strace()
    record_property("points", 1)
    ran = machine.folder / "ran"
    ran.mkdir()
    machine.script("ran.sh", RAN.format(folder=ran)).chmod(0o755)
    if start_failing(machine, fault):
        with Client(machine.env, start=False) as client:
            acknowledged = work(machine, Asker(client))
            at_rest = {*AT_REST, "pending", "running"} if fault.name in OF_EACH_SHIM else AT_REST
            wait_until(lambda: set(statuses(client, acknowledged).values()) <= at_rest)
            before = {run_id: run for run_id, run in shown(client, acknowledged).items() if run["status"] in AT_REST}
        machine.ctl("daemon", "stop", "--no-start", check=True)
        machine.daemons[-1].wait(DEADLINE)
    else:
        acknowledged, before = [], {}
    machine.launcher = []
    machine.start()
    with Client(machine.env, start=False) as client:
        assert shown(client, before) == before
        if not acknowledged:  # the home is one still
            acknowledged = work(machine, Asker(client))
        wait_until(lambda: set(statuses(client, acknowledged).values()) <= AT_REST)
        for run_id, run in shown(client, acknowledged).items():
            times = len(list(ran.glob(f"{run_id}.*")))
            assert (run["status"], times) == ("completed", 1) or never_ran(run, times, fault), (run, times)
        assert {run["id"] for run in client.call("list")["runs"]} >= set(acknowledged)
    machine.ctl("daemon", "stop", "--no-start", check=True)
    machine.daemons[-1].wait(DEADLINE)
    with sqlite3.connect(machine.home / "rund.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def never_ran(run: dict[str, Any], times: int, fault: Fault) -> bool:
    """Whether it is told truly of a run that it did not run: the machine failed in a way that trying again does not mend."""
    told: str = run["reason"] or ""
    if fault.name == "write" and told.startswith("lost"):  # the gate itself could not be opened, or nobody knows
        return times <= 1
    return fault.error == "EIO" and run["status"] == "error" and told.startswith("could not start") and times == 0


def start_failing(machine: Machine, fault: Fault, trace: Path = NOWHERE) -> bool:
    """Whether a daemon whose calls fail serves; one that does not says why in one line."""
    if fault.serving:
        machine.start()
        machine.daemons.insert(0, attach(fault.tracer(trace), machine.processes()))
        return True
    log = machine.folder / "rund.log"
    with log.open("ab") as file:
        daemon = subprocess.Popen(
            [*fault.launcher(trace), BIN / "rund"], env=machine.env, stdin=subprocess.DEVNULL, stderr=file
        )
    machine.daemons.append(daemon)
    wait_until(lambda: daemon.poll() is not None or answers(machine))
    if daemon.poll() is None:
        return True
    assert daemon.returncode in (1, REFUSED)
    assert [line for line in log.read_text().splitlines() if line.startswith("rund: ")], log.read_text()
    assert "Traceback" not in log.read_text()
    return False


def answers(machine: Machine) -> bool:
    try:
        Client(machine.env, start=False).close()
    except NoDaemonError:
        return False
    return True


def work(machine: Machine, asker: Asker) -> list[str]:
    """Some of everything; answers the ids of the runs that must be there."""
    params: dict[str, Any] = {"operation": "ran.sh", "cwd": str(machine.project), "env": machine.env}
    single = asker.ask("run", **params)["run"]["id"]
    batch = asker.ask("run", args=["x=[1,2]"], **params)
    dropped = asker.ask("run", args=["x=9"], stage=True, **params)["run"]["id"]
    asker.ask("set", runs=[single], label="kept")
    asker.ask("delete", runs=[dropped])
    asker.ask("pause")
    late = asker.ask("run", args=["x=7"], **params)["run"]["id"]
    asker.ask("resume")
    return [single, *batch["trials"], late]


def statuses(client: Client, ids: Iterable[str]) -> dict[str, str]:
    return {run_id: run["status"] for run_id, run in shown(client, ids).items()}


def shown(client: Client, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The runs, by what a restart of the daemon must not change."""
    return {run_id: client.call("show", run=run_id)["run"] for run_id in ids}


def test_while_the_disk_fails_nothing_is_acknowledged_and_reading_goes_on(machine: Machine) -> None:
    require_strace()
    log = machine.folder / "rund.log"
    machine.script("ran.sh", "#!/bin/sh\n").chmod(0o755)
    assert start_failing(machine, Fault("fdatasync", "EIO", 8, 0))
    params: dict[str, Any] = {"operation": "ran.sh", "cwd": str(machine.project), "env": machine.env, "stage": True}
    with Client(machine.env, start=False) as client:
        acknowledged, refused = until_refused(lambda: client.call("run", **params)["run"]["id"])
        assert "not certain" in refused
        assert "the store cannot be written" in client.call("status")["fault"]
        assert "fault" in machine.ctl("status", check=True).stdout
        for _ in range(3):
            with pytest.raises(InternalError, match="nothing was changed"):
                client.call("run", **params)
        assert {run["id"] for run in client.call("list")["runs"]} == set(acknowledged)
    assert "could not be made durable" in log.read_text()
    assert "Traceback" not in log.read_text()
    machine.ctl("daemon", "stop", "--no-start", check=True)
    machine.daemons[-1].wait(DEADLINE)
    machine.start()
    with Client(machine.env, start=False) as client:
        listed = {run["id"] for run in client.call("list")["runs"]}
        assert listed >= set(acknowledged)
        assert len(listed) <= len(acknowledged) + 1, "of what was refused only the first was not certain"
        assert client.call("status")["fault"] is None


def test_a_disk_that_stays_full_is_asked_now_and_then_for_room(machine: Machine) -> None:
    require_strace()
    machine.script("ran.sh", "#!/bin/sh\n").chmod(0o755)
    params: dict[str, Any] = {"operation": "ran.sh", "cwd": str(machine.project), "env": machine.env}
    daemon = machine.start()
    with Client(machine.env, start=False) as client:
        client.call("pause")
        waiting = client.call("run", **params)["run"]["id"]
    daemon.terminate()
    daemon.wait(DEADLINE)
    (machine.home / "reserve").unlink()  # or it would not be asked for
    trace = machine.folder / "trace"
    assert start_failing(machine, Fault("fallocate", "ENOSPC", 1, 0), trace)
    with Client(machine.env, start=False) as client:
        with pytest.raises(FullError):
            client.call("run", **params)
        client.call("resume")  # from now on the run that waits is to be started
        begun, asked = time.monotonic(), calls(trace)
        wait_until(lambda: time.monotonic() > begun + 5 and calls(trace) > asked + 1)
        # Once a second by the store, and by what waits: a loop without a pause asks hundreds of times however slow it is.
        assert calls(trace) - asked <= 4 * (time.monotonic() - begun) + 20
        assert client.call("show", run=waiting)["run"]["status"] == "pending"


def calls(trace: Path) -> int:
    return trace.read_text().count("fallocate(")


def until_refused(ask: Callable[[], str]) -> tuple[list[str], str]:
    """The ids that were acknowledged, and the first refusal."""
    ids: list[str] = []
    while True:
        try:
            ids.append(ask())
        except InternalError as error:
            return ids, error.message
