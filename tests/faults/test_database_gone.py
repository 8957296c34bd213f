"""A database that is moved away, removed or replaced under a live daemon: no change is acknowledged, reads go on."""

from __future__ import annotations

import shutil

import pytest

from tests.process.conftest import DEADLINE, Machine, wait_until


def used(machine: Machine) -> str:
    """A served home with a run that has ended; answers the run's id."""
    machine.start()
    machine.script("one.py", "n = 1\nprint(n)\n")
    run: str = machine.json("run", "-d", "one.py", "n=2")["run"]["id"]
    machine.ctl("wait", run, check=True)
    return run


def refused(machine: Machine, *command: str) -> str:
    """What a client is told whose change is refused, in its last line: it may have had to wait for the daemon."""
    asked = machine.ctl(*command)
    assert asked.returncode == 1, asked
    return asked.stderr.splitlines()[-1]


def label(machine: Machine, run: str) -> str | None:
    found: str | None = machine.json("show", run)["run"]["label"]
    return found


def test_a_database_that_is_moved_away_is_told_and_all_goes_on_when_it_is_back(machine: Machine) -> None:
    run = used(machine)
    gate = machine.folder / "gate"
    machine.script("waits.sh", f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n").chmod(0o755)
    live = machine.json("run", "-d", "waits.sh")["run"]["id"]
    wait_until(lambda: machine.json("show", live)["run"]["status"] == "running")
    machine.ctl("label", run, "before", check=True)
    database, away = machine.home / "rund.db", machine.folder / "away.db"
    database.rename(away)
    for command in (("label", run, "meanwhile"), ("run", "-d", "one.py"), ("stop", live), ("pause",)):
        said = refused(machine, *command)
        assert "nothing was changed" in said, command
        assert f"the database {database} is gone: put it back, and rund goes on" in said
    assert label(machine, run) == "before"
    assert machine.ctl("logs", run).stdout == "2\n"
    assert "is gone" in machine.ctl("status", check=True).stdout
    gate.touch()
    # It has ended, and that cannot be written yet.
    wait_until(lambda: "what has happened cannot be written now" in (machine.folder / "rund.log").read_text())
    assert not database.exists()
    away.rename(database)
    machine.ctl("wait", live, check=True)
    machine.ctl("label", run, "after", check=True)
    assert machine.json("status")["fault"] is None
    assert machine.json("status")["pid"] == machine.daemons[-1].pid, "it went on by itself"
    machine.kill()
    machine.start()
    assert label(machine, run) == "after"
    assert machine.json("show", live)["run"]["status"] == "completed"


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_what_was_acknowledged_before_is_there_when_it_is_back_before_the_next_daemon(
    machine: Machine, end: str
) -> None:
    run = used(machine)
    machine.ctl("label", run, "kept", check=True)
    database, away = machine.home / "rund.db", machine.folder / "away.db"
    database.rename(away)
    refused(machine, "label", run, "not kept")
    if end == "killed":
        machine.kill()
    else:
        machine.ctl("daemon", "stop", check=True)
        assert machine.daemons[-1].wait(DEADLINE) == 0
    assert not database.exists()
    away.rename(database)
    machine.start()
    assert label(machine, run) == "kept"


def test_a_database_that_is_removed_or_replaced_is_told_and_nothing_is_written(machine: Machine) -> None:
    run = used(machine)
    backup = machine.folder / "backup.db"
    machine.ctl("backup", str(backup), check=True)
    machine.ctl("label", run, "later", check=True)
    database = machine.home / "rund.db"
    database.unlink()
    assert "is gone, for it was removed: `runctl daemon stop`, then `runctl doctor --restore`" in refused(
        machine, "label", run, "x"
    )
    assert label(machine, run) == "later"
    shutil.copy(backup, database)
    content = database.read_bytes()
    assert "another file is in the place of the database" in refused(machine, "label", run, "x")
    assert "another file is in the place" in refused(machine, "backup", str(machine.folder / "other.db"))
    assert label(machine, run) == "later", "what is read is still what was acknowledged"
    machine.ctl("daemon", "stop", check=True)
    assert machine.daemons[-1].wait(DEADLINE) == 0
    assert database.read_bytes() == content
    machine.ctl("doctor", "--restore", str(backup), check=True)
    machine.start()
    assert machine.json("show", run)["run"]["status"] == "completed"
    assert label(machine, run) is None
    assert (machine.home / "damaged").is_dir()
