"""A backup in place of a database: what ran since is neither lost, nor taken for what runs from then on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.process.conftest import DEADLINE, Machine, wait_until
from tests.process.test_doctor import looked, stopped, wrong

WAIT = "import os, time\nlr = 0.1\nprint(lr)\nwhile lr > 0.1 and not os.path.exists('{go}'):\n    time.sleep(0.05)\n"


def backed_up(machine: Machine, *more: str, running: bool = False) -> tuple[str, Path]:
    """A run that is completed in the backup that is made then, or ``running`` again."""
    machine.start(RUND_SLOTS="1")
    machine.script("wait.py", WAIT.format(go=machine.folder / "go"))
    run: str = machine.json("run", "-d", "wait.py")["run"]["id"]
    machine.ctl("wait", run, check=True)
    for command in more:
        machine.ctl(*command.split(), check=True)
    wait_until(lambda: not running or shown(machine, run)["status"] == "running")
    backup = machine.folder / "copy.db"
    machine.ctl("backup", str(backup), check=True)
    return run, backup


def shown(machine: Machine, run: str) -> dict[str, Any]:
    found: dict[str, Any] = machine.json("show", run)["run"]
    return found


def outputs(machine: Machine, run: str) -> dict[str, str]:
    """The outputs of all attempts that have left a folder, by their tokens' numbers."""
    found = (machine.home / "attempts" / run[:2]).glob(f"{run}-*/output")
    return {output.parent.name.rpartition("-")[2]: output.read_text() for output in found}


# Is killed while it writes to a copy: what was written is in the copy in part, and its journal undoes that.
KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = DELETE")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE runs SET label = 'half'")
connection.execute("CREATE TABLE half (x)")
connection.execute("INSERT INTO half VALUES (randomblob(1000000))")
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_restore_has_left_is_not_put_into_the_next_ones_copy(machine: Machine) -> None:
    run, first = backed_up(machine)
    (machine.folder / "go").touch()
    for _ in range(3):
        machine.ctl("run", "wait.py", check=True)
    machine.ctl("label", run, "later", check=True)
    second = machine.folder / "second.db"
    machine.ctl("backup", str(second), check=True)
    stopped(machine)
    half = machine.home / "damaged" / ".restoring"
    half.parent.mkdir(mode=0o700)
    shutil.copyfile(first, half)
    assert subprocess.run([sys.executable, "-c", KILLED, half], timeout=DEADLINE).returncode == -signal.SIGKILL
    assert half.with_name(".restoring-journal").stat().st_size > 0
    restored = looked(machine, "--restore", str(second))
    assert restored["wrong"] == 0, wrong(restored)
    assert not list(half.parent.glob(".*"))
    machine.start()
    assert shown(machine, run)["label"] == "later"
    assert machine.json("list")["total"] == 4


def test_a_run_started_again_since_the_backup_is_executed_when_it_is_restarted(machine: Machine) -> None:
    run, backup = backed_up(machine)
    (machine.folder / "go").touch()
    for value in ("0.2", "0.3"):
        machine.ctl("restart", run, f"lr={value}", check=True)
    stopped(machine)
    assert looked(machine, "--restore", str(backup))["wrong"] == 0
    machine.start(RUND_SLOTS="1")
    assert (shown(machine, run)["flags"], shown(machine, run)["attempts"]) == ({"lr": 0.1}, 1)
    machine.ctl("restart", run, "lr=0.5", check=True)
    after = shown(machine, run)
    assert (after["status"], after["flags"], after["attempts"]) == ("completed", {"lr": 0.5}, 2)
    assert machine.ctl("logs", run).stdout == "0.5\n"
    assert outputs(machine, run) == {"1": "0.1\n", "2": "0.2\n", "3": "0.3\n", "4": "0.5\n"}, "all of it is kept"


def test_nothing_is_restored_while_what_the_backup_does_not_know_goes_on(machine: Machine) -> None:
    run, backup = backed_up(machine)
    machine.ctl("restart", run, "lr=0.2", "-d", check=True)
    wait_until(lambda: outputs(machine, run).get("2") == "0.2\n")
    machine.kill()
    before = (machine.home / "rund.db").read_bytes()
    told = next(each for each in looked(machine, "--restore", str(backup))["findings"] if each["check"] == "restore")
    assert told["level"] == "wrong"
    assert f"1 attempt goes on that {backup} does not know as running ({run[:8]})" in told["what"]
    assert (machine.home / "rund.db").read_bytes() == before
    pid = int(told["todo"].partition("`kill ")[2].partition("`")[0])
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: looked(machine, "--restore", str(backup))["wrong"] == 0)
    machine.start(RUND_SLOTS="1")
    assert shown(machine, run)["status"] == "completed"


def test_an_attempt_that_runs_in_the_backup_too_is_taken_back(machine: Machine) -> None:
    run, backup = backed_up(machine, "restart @1 lr=0.2 -d", running=True)
    wait_until(lambda: outputs(machine, run).get("2") == "0.2\n")
    machine.kill()
    restored = looked(machine, "--restore", str(backup))
    assert restored["wrong"] == 0, wrong(restored)
    machine.start(RUND_SLOTS="1")
    assert shown(machine, run)["status"] == "running"
    (machine.folder / "go").touch()
    machine.ctl("wait", run, check=True)
    assert shown(machine, run)["attempts"] == 2
    assert outputs(machine, run) == {"1": "0.1\n", "2": "0.2\n"}


def test_what_waits_in_the_backup_and_may_have_run_since_starts_when_it_is_told_to(machine: Machine) -> None:
    _, backup = backed_up(machine, "pause", "run -d wait.py lr=0.05")
    waits = machine.json("list", "--status", "pending")["runs"][0]["id"]
    machine.ctl("resume", check=True)
    machine.ctl("wait", waits, check=True)
    stopped(machine)
    restored = looked(machine, "--restore", str(backup))
    assert restored["wrong"] == 0
    assert any("runctl resume" in (each["todo"] or "") for each in restored["findings"]), json.dumps(restored)
    machine.start()
    assert (shown(machine, waits)["status"], shown(machine, waits)["reason"]) == ("pending", "paused")
    machine.ctl("resume", check=True)
    machine.ctl("wait", waits, check=True)
    assert outputs(machine, waits) == {"1": "0.05\n", "2": "0.05\n"}
