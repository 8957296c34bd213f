"""Backups: of one moment, while everything goes on; whole or not at all; and by themselves each day."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from rund.clock import now
from rund.store.backups import Backup, is_due, make_backup, newest_backup
from rund.store.directories import Directories
from tests.process.conftest import Machine, wait_until

DAY = 86_400


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def check_whole(path: Path) -> None:
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(path.parent.glob(".*part*")), "nothing half made is left"


def test_a_backup_is_one_committed_state_while_changes_go_on(served: Machine, tmp_path: Path) -> None:
    served.script("one.py", "n = 1\nprint(n)\n")
    served.ctl("run", "one.py", "n=range[1:300]", "--stage", "-d", check=True)
    makers = [served.popen("run", "one.py", "n=range[1:200]", "--stage", "-d") for _ in range(4)]
    copies = []
    while any(maker.poll() is None for maker in makers) or not copies:
        copies.append(tmp_path / f"copy-{len(copies)}.db")
        answer = served.json("backup", str(copies[-1]))
        assert answer == {"path": str(copies[-1]), "bytes": copies[-1].stat().st_size}
    for maker in makers:
        maker.communicate()
        assert maker.returncode == 0
    for copy in copies:
        check_whole(copy)
        # Each batch with all its trials, or not at all.
        assert {row[0] for row in rows(copy, "SELECT count(*) FROM runs WHERE batch IS NOT NULL GROUP BY batch")} <= {
            200,
            300,
        }
    served.ctl("backup", "last.db", check=True)
    assert rows(served.project / "last.db", "SELECT count(*) FROM runs") == [(300 + 4 * 200 + 5,)]


def test_what_will_not_do_as_a_backup_is_refused_and_untouched(served: Machine, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.db").symlink_to(served.home / "rund.db")
    (tmp_path / "hard.db").hardlink_to(served.home / "rund.db")
    served.ctl("backup", str(tmp_path / "good.db"), check=True)
    assert "FILE is empty: give the name of a file" in served.ctl("backup", "").stderr
    refused = {
        "good.db": "is there already: give another name, or --force",
        "missing/x.db": "there is no folder",
        "folder": "is a folder",
        "thesis.txt/x.db": "there is no folder",
        "home/x.db": "is within rund's home",
        "home/rund.db": "is within rund's home",
        "home/runs/x.db": "is within rund's home",
        "home/removed/x.db": "is within rund's home",
    }
    forced = {"thesis.txt": "is no database", "empty": "is no database", "pipe": "is no database"} | {
        "link.db": "is no database",
        "hard.db": "is the database itself",
        "home/rund.db": "is within rund's home",
        "folder": "is a folder",
    }
    for name, words in refused.items():
        result = served.ctl("backup", str(tmp_path / name))
        assert result.returncode == 2, name
        assert words in result.stderr, result.stderr
    for name, words in forced.items():
        result = served.ctl("backup", str(tmp_path / name), "--force")
        assert result.returncode == 2, name
        assert words in result.stderr, result.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "link.db").is_symlink()
    served.ctl("label", served.json("run", "-d", "--stage", *named(served))["run"]["id"], "later", check=True)
    served.ctl("backup", str(tmp_path / "good.db"), "--force", check=True)
    assert rows(tmp_path / "good.db", "SELECT label FROM runs") == [("later",)]
    check_whole(tmp_path / "good.db")


def named(machine: Machine) -> list[str]:
    machine.script("one.py", "n = 1\nprint(n)\n")
    return ["one.py"]


def test_a_folder_that_may_not_be_written_is_told(served: Machine, tmp_path: Path) -> None:
    result = served.ctl("backup", "/proc/rund.db")
    assert result.returncode == 2
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize(("number", "made"), [("2", 1), ("0", 0)])
def test_a_backup_is_made_each_day(machine: Machine, number: str, made: int) -> None:
    folder = machine.home / "backups"
    machine.start(RUND_BACKUPS=number)
    machine.script("one.py", "n = 1\nprint(n)\n")
    run = machine.json("run", "-d", "one.py")["run"]["id"]
    machine.ctl("wait", run, check=True)
    machine.ctl("daemon", "stop", check=True)
    assert not folder.exists(), "nothing is a day old yet"
    connection = sqlite3.connect(machine.home / "rund.db", isolation_level=None)
    connection.execute("UPDATE runs SET created = created - ?", (DAY,))
    connection.close()
    machine.start(RUND_BACKUPS=number)
    if not made:
        machine.ctl("label", run, "x", check=True)
        assert not folder.exists()
        return
    wait_until(lambda: list(folder.glob("rund-*.db")))
    (first,) = folder.glob("rund-*.db")
    check_whole(first)
    assert rows(first, "SELECT id FROM runs") == [(run,)]
    # Two more days: the older ones are renamed to how they would be called, and aged.
    for day in (3, 2):
        machine.ctl("daemon", "stop", check=True)
        for path in folder.glob("rund-*.db"):
            aged = path.stat().st_mtime - DAY
            path = path.rename(folder / f"rund-day-{day}-{path.name[5:]}")
            os.utime(path, (aged, aged))
        (folder / ".rund-1.db.part-00").write_bytes(b"of a daemon that was killed")
        machine.start(RUND_BACKUPS=number)
        wait_until(lambda: any(not path.name.startswith("rund-day") for path in folder.glob("rund-*.db")))
        wait_until(lambda: len(list(folder.glob("*"))) <= 2)
    assert len(list(folder.glob("rund-*.db"))) == 2
    assert not list(folder.glob(".*"))


def test_a_backup_is_due_when_the_last_one_is_a_day_old() -> None:
    def backups(*made: float) -> list[Backup]:
        return [Backup(path=Path("b"), made=time) for time in made]

    assert not is_due([], now=5 * DAY, first_run=None)
    assert not is_due([], now=5 * DAY, first_run=4.5 * DAY)
    assert is_due([], now=5 * DAY, first_run=4 * DAY)
    assert not is_due(backups(4.5 * DAY, 1 * DAY), now=5 * DAY, first_run=0.0)
    assert is_due(backups(4 * DAY, 3 * DAY), now=5 * DAY, first_run=0.0)
    assert is_due(backups(9 * DAY), now=5 * DAY, first_run=0.0), "made by a clock that was set back since"
    assert not is_due(backups(9 * DAY, 4.5 * DAY), now=5 * DAY, first_run=0.0)
    assert is_due(backups(9 * DAY, 4 * DAY), now=5 * DAY, first_run=0.0)


def test_backups_of_a_clock_that_was_wrong_are_in_nobodys_way(served: Machine) -> None:
    served.ctl("daemon", "stop", check=True)
    folder = served.home / "backups"
    folder.mkdir(mode=0o700)
    to_come = now() + 30 * DAY
    for name in ("rund-1.db", "rund-2.db"):
        (folder / name).write_bytes(b"of a year to come")
        os.utime(folder / name, (to_come, to_come))
    assert make_backup(Directories(served.home), now=now(), keep=2, proceed=lambda: True)
    assert len(list(folder.iterdir())) == 2
    newest = newest_backup(folder)
    assert newest is not None
    check_whole(newest.path)


def test_a_log_removed_under_a_daemon_costs_no_answered_change(served: Machine) -> None:
    served.script("one.py", "n = 1\n")
    run = served.json("run", "one.py")["run"]["id"]
    (served.home / "rund.db-wal").unlink()
    refused = served.ctl("backup", str(served.folder / "copy.db"))
    assert refused.returncode == 1
    assert "was removed: start rund again" in refused.stderr
    assert "rund.db-wal was removed while a daemon uses it" in served.ctl("doctor").stdout
    served.ctl("label", run, "kept", check=True)
    served.ctl("daemon", "stop", check=True)
    served.daemons[-1].wait(60)
    served.start()
    assert served.json("show", run)["run"]["label"] == "kept"
