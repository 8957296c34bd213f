"""A daemon comes to runs whose processes are gone, and whose numbers strangers have: it signals none of them.

``python -m tests.faults.reused_numbers FOLDER``, in a namespace as of `tests.faults.pid_namespace`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rund.executor.framing import STARTED
from rund.executor.records import read_start
from tests.faults.pid_namespace import start_as, wait_until_free
from tests.process.conftest import Machine, wait_until


class Numbers(NamedTuple):
    """The processes of one run."""

    shim: int
    trial: int


def start_run(machine: Machine) -> tuple[str, Numbers]:
    """A run that lives, and its processes."""
    run: str = machine.json("run", "-d", "./sleeper.sh")["run"]["id"]
    wait_until(lambda: machine.ctl("logs", run).stdout == "up\n")
    shim = read_start((machine.home / "attempts" / run[:2] / f"{run}-1" / STARTED).read_bytes()).shim_pid
    [trial] = map(int, Path(f"/proc/{shim}/task/{shim}/children").read_text().split())
    return run, Numbers(shim, trial)


def main() -> None:
    """Fails by an exception."""
    machine = Machine(Path(sys.argv[1]))
    # Strangers that look as much like a shim as they can.
    stranger = machine.folder / "rund-shim"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", stranger)
    machine.script("sleeper.sh", "#!/bin/sh\necho up\nexec sleep 1000\n").chmod(0o755)
    machine.env["RUND_SLOTS"] = "2"
    machine.start()
    lost, lost_numbers = start_run(machine)
    stopped, stopped_numbers = start_run(machine)
    machine.kill()
    # As a daemon leaves it that is killed between the commit of a stop and its signal.
    with closing(sqlite3.connect(machine.home / "rund.db")) as database, database:
        database.execute("UPDATE runs SET stopping = 1, reason = 'stopping' WHERE id = ?", (stopped,))
    numbers = [*lost_numbers, *stopped_numbers]
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    for number in numbers:
        wait_until_free(number)
    strangers: list[subprocess.Popen[bytes]] = [start_as(number, [stranger, "1000"]) for number in numbers]
    machine.start()
    machine.ctl("wait", lost, stopped)
    shown = [machine.json("show", run)["run"] for run in (lost, stopped)]
    assert [(run["status"], run["reason"], run["attempts"]) for run in shown] == [
        ("error", "lost: its supervisor was killed", 1),
        ("terminated", "stopped", 1),
    ], shown
    machine.ctl("stop", lost, stopped)
    assert [process.poll() for process in strangers] == [None] * len(strangers), "a stranger was signalled"
    # And the next daemon's stop of everything reaches none of them.
    machine.ctl("daemon", "stop", "--with-runs", check=True)
    assert [process.poll() for process in strangers] == [None] * len(strangers), "a stranger was signalled"
    for process in strangers:
        process.kill()
        process.wait()
    machine.close()


if __name__ == "__main__":
    main()
