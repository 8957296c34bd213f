"""A database or its log that is damaged or missing is told, kept, and never replaced by an empty one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_a_backup_copied_by_hand_beside_the_log_of_a_killed_daemon_is_told(machine: Machine) -> None:
    run = used(machine)
    machine.start()
    backup = machine.folder / "backup.db"
    machine.ctl("label", run, "before", check=True)
    machine.ctl("backup", str(backup), check=True)
    machine.ctl("daemon", "stop", check=True)
    machine.daemons[-1].wait(DEADLINE)
    machine.start()
    machine.ctl("label", run, "after", check=True)
    machine.kill()
    database = machine.home / "rund.db"
    whole = database.read_bytes()
    database.unlink()
    shutil.copy(backup, database)
    before = files(machine.home)
    said = refusal(machine)
    assert f"the log {database}-wal is not that of the database that is there" in said
    assert f"`runctl doctor --restore {database}` goes on with this one and keeps the log" in said
    assert files(machine.home) == before
    told = machine.ctl("doctor")
    assert told.returncode == 1
    assert "is not that of the database that is there" in told.stdout
    assert files(machine.home) == before
    database.write_bytes(whole)  # found again
    machine.start()
    assert machine.json("show", run)["run"]["label"] == "after"
    machine.kill()
    shutil.copy(backup, database)
    machine.ctl("doctor", "--restore", str(database), check=True)
    machine.start()
    assert machine.json("show", run)["run"]["label"] == "before"
    assert any((machine.home / "damaged").glob("*/rund.db-wal")), "the log is kept"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("name", ["rund.db-wal", "rund.db-shm", "rund.db-journal", "rund.number"])
def test_what_is_no_file_beside_the_database_is_named_and_waited_for_by_nobody(
    machine: Machine, name: str, make: Callable[[Path], None]
) -> None:
    used(machine)
    path = machine.home / name
    path.unlink(missing_ok=True)
    make(path)
    said = f"{path} is no regular file: move it away"
    assert said in refusal(machine)
    told = machine.ctl("doctor")
    assert told.returncode == 1
    assert f"wrong  store     {path} is no regular file; move it away" in told.stdout


def test_a_database_that_is_a_symbolic_link_is_refused_for_its_log_would_lie_elsewhere(machine: Machine) -> None:
    run = used(machine)
    database = machine.home / "rund.db"
    database.rename(machine.folder / "elsewhere.db")
    database.symlink_to(machine.folder / "elsewhere.db")
    assert f"{database} is a symbolic link" in refusal(machine)
    (machine.folder / "elsewhere.db").rename(database)
    machine.start()
    assert machine.json("show", run)["run"]["status"] == "completed"


def test_a_database_that_is_no_file_is_told_as_that(machine: Machine) -> None:
    used(machine)
    database = machine.home / "rund.db"
    database.unlink()
    database.mkdir()
    assert f"the database {database} is no regular file" in refusal(machine)


def test_doctor_tells_of_a_store_that_no_daemon_of_this_version_opens(machine: Machine) -> None:
    used(machine)
    for change, words in (
        ("user_version = 99", "a later version of rund"),
        ("application_id = 1", "not a database of"),
    ):
        connection = sqlite3.connect(machine.home / "rund.db")
        connection.execute(f"PRAGMA {change}")
        connection.close()
        assert words in refusal(machine)
        told = machine.ctl("doctor")
        assert told.returncode == 1
        assert words in told.stdout


def test_a_home_that_lost_all_but_its_runs_is_told(machine: Machine) -> None:
    used(machine)
    for path in machine.home.glob("rund.*"):
        path.unlink()
    assert "is missing, but the home holds runs" in refusal(machine)
    assert not (machine.home / "rund.db").exists()


def test_a_damaged_page_is_told_where_it_is_met_and_the_rest_is_served(machine: Machine) -> None:
    run = used(machine)
    machine.start()
    machine.script("many.py", "n = 1\nz = 'a'\nprint(n)\n")
    needle = machine.json("run", "many.py", "z=needle", "--stage", "-d")["run"]["id"]
    machine.ctl("run", "many.py", "n=range[1:200]", "--stage", "-d", check=True)
    machine.ctl("daemon", "stop", check=True)
    machine.daemons[-1].wait(DEADLINE)
    database = machine.home / "rund.db"
    at = database.read_bytes().index(b'"z":"needle"') // 4096 * 4096
    overwrite(database, b"\xff" * 4096, at=at)
    machine.start()
    refused = machine.ctl("show", needle)
    assert refused.returncode == 1
    assert "is damaged (database disk image is malformed): `runctl doctor` tells what to do" in refused.stderr
    assert "is damaged" in machine.ctl("status", check=True).stdout
    assert machine.ctl("run", "many.py", "n=7").stdout == "7\n", "what does not need that page goes on"
    told = machine.ctl("doctor")
    assert told.returncode == 1
    assert "wrong  store     the database is damaged" in told.stdout
    assert "wrong  daemon    the database" in told.stdout
    assert run


def test_a_damaged_folder_of_a_run_hinders_no_other(machine: Machine) -> None:
    machine.start()
    machine.script("one.py", "n = 1\nprint(n)\n")
    runs = [machine.json("run", "-d", "one.py", f"n={number}")["run"] for number in range(4)]
    machine.ctl("wait", *(run["id"] for run in runs), check=True)
    gone, file, link, fine = (Path(run["dir"]) for run in runs)
    precious = machine.folder / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years of work")
    for folder in (gone, file, link):
        folder.rmdir()
    file.write_text("no folder")
    link.symlink_to(precious)
    for run in runs:
        shutil.rmtree(machine.home / "attempts" / run["id"][:2] / f"{run['id']}-1")
        machine.ctl("logs", run["id"])
        assert machine.json("show", run["id"])["run"]["status"] == "completed"
    assert machine.ctl("restart", runs[0]["id"]).stdout == "0\n", "it is made again"
    refused = machine.ctl("restart", runs[1]["id"])
    assert "its directory cannot be made" in refused.stderr
    assert machine.ctl("restart", runs[3]["id"]).stdout == "3\n"
    assert "runs have lost their folder" not in machine.ctl("doctor").stdout
    machine.ctl("delete", *(run["id"] for run in runs), check=True)
    machine.ctl("purge", "-y", check=True)
    assert (precious / "thesis").read_text() == "years of work"
    assert not any(os.path.lexists(folder) for folder in (gone, file, link, fine))
