"""A database or its log that is damaged or missing is told, kept, and never replaced by an empty one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.process.conftest import BIN, DEADLINE, Machine


def used(machine: Machine) -> str:
    """A home whose daemon has run something and was stopped; answers the run's id."""
    machine.start()
    machine.script("one.py", "n = 1\nprint(n)\n")
    run: str = machine.json("run", "-d", "one.py", "n=2")["run"]["id"]
    machine.ctl("wait", run, check=True)
    machine.ctl("daemon", "stop", check=True)
    machine.daemons[-1].wait(DEADLINE)
    return run


def refusal(machine: Machine) -> str:
    """What a daemon says that does not start, in one line."""
    started = subprocess.run(
        [BIN / "rund"], env=machine.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE
    )
    assert started.returncode == 78
    lines = started.stderr.splitlines()
    assert len(lines) == 1, started.stderr
    return lines[0]


def files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.glob("rund.db*") if path.name != "rund.db-shm"}


def overwrite(path: Path, data: bytes, at: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def lose_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE garbage")
    connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing"),
    "empty": (lambda path: os.truncate(path, 0), "is empty"),
    "head": (lambda path: overwrite(path, b"\0" * 100), "its head is damaged"),
    "cut": (lambda path: os.truncate(path, path.stat().st_size // 2), "was cut off"),
    "cut in a page": (lambda path: os.truncate(path, 5000), "was cut off"),
    "schema": (lambda path: overwrite(path, b"\xff" * 40, at=100), "is damaged"),
    "table": (lose_a_table, "it has lost garbage"),
}


def test_a_damaged_database_is_told_and_kept(machine: Machine) -> None:
    run = used(machine)
    database = machine.home / "rund.db"
    whole = database.read_bytes()
    for damage, (harm, words) in DAMAGES.items():
        harm(database)
        before = files(machine.home)
        said = refusal(machine)
        assert words in said, damage
        assert str(database) in said
        assert "runctl doctor --restore" in said
        assert files(machine.home) == before, f"{damage}: it is kept as it was, and none is made"
        database.write_bytes(whole)
    database.unlink()
    asked = machine.ctl("list")
    assert asked.returncode == 3
    assert "is missing" in asked.stderr
    database.write_bytes(whole)
    machine.start()
    assert machine.json("show", run)["run"]["status"] == "completed"


def test_a_log_removed_after_a_kill_is_told_and_after_a_stop_is_not(machine: Machine) -> None:
    run = used(machine)
    assert not (machine.home / "rund.db-wal").exists()
    machine.start()
    machine.ctl("label", run, "kept", check=True)
    machine.kill()
    log = machine.home / "rund.db-wal"
    whole = log.read_bytes()
    log.unlink()
    before = files(machine.home)
    assert "its log rund.db-wal was removed" in refusal(machine)
    assert files(machine.home) == before
    log.write_bytes(whole)  # found again
    machine.start()
    assert machine.json("show", run)["run"]["label"] == "kept"


def test_a_home_that_lost_all_but_its_runs_is_told(machine: Machine) -> None:
    used(machine)
    for path in machine.home.glob("rund.*"):
        path.unlink()
    assert "is missing, but the home holds runs" in refusal(machine)
    assert not (machine.home / "rund.db").exists()
