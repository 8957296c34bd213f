"""Folders of clients that hang, as those of a disk that is out of reach do: nobody waits but who wants them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.faults.kill_points import require_strace
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
