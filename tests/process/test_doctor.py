"""runctl doctor: says what is wrong and what to do, mends what is safe, and touches nothing of anybody else's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from runctl.connection import ShortPath

from tests.process.conftest import BIN, DEADLINE, Machine, wait_until


def looked(machine: Machine, *args: str, hangs: bool = False) -> dict[str, Any]:
    """What doctor answers; what is not well, by check.  ``hangs``: the daemon does."""
    done = machine.ctl("doctor", "--json", *args)
    answer: dict[str, Any] = json.loads(done.stdout)
    if not hangs and "does not answer within" in wrong(answer).get("daemon", ""):
        return looked(machine, *args)  # this machine is so slow
    assert done.returncode == (1 if answer["wrong"] else 0), done
    assert all(each["todo"] for each in answer["findings"] if each["level"] == "wrong"), "each says what to do"
    return answer


def wrong(answer: dict[str, Any]) -> dict[str, str]:
    return {each["check"]: each["what"] for each in answer["findings"] if each["level"] == "wrong"}


def used(machine: Machine) -> str:
    machine.start()
    machine.script("one.py", "n = 1\nprint(n)\n")
    run: str = machine.json("run", "-d", "one.py")["run"]["id"]
    machine.ctl("wait", run, check=True)
    return run


def stopped(machine: Machine) -> None:
    machine.ctl("daemon", "stop", check=True)
    machine.daemons[-1].wait(DEADLINE)


def tree(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """All that there is below ``folder``: modes, owners, times and contents."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_uid, status.st_mtime_ns, content)
    return found


def test_a_sound_home_is_told_sound_with_a_daemon_and_without(machine: Machine) -> None:
    used(machine)
    answer = looked(machine)
    assert answer["wrong"] == 0
    checks = {each["check"]: each["level"] for each in answer["findings"]}
    assert checks.pop("disk") in ("ok", "note"), "how much room is left is not this test's"
    assert checks == dict.fromkeys(("settings", "folders", "store", "socket", "daemon", "unit"), "ok") | {
        "backups": "note"
    }
    stopped(machine)
    before = tree(machine.home)
    lines = machine.ctl("doctor", check=True).stdout.splitlines()
    assert lines[-1] == "Nothing is wrong"
    assert any(line.startswith("note   daemon    none runs") for line in lines)
    assert tree(machine.home) == before, "looking changes nothing"


@pytest.mark.parametrize("deed", [(), ("--fix",), ("--restore",)])
def test_what_is_no_home_of_ours_is_not_touched(machine: Machine, deed: tuple[str, ...]) -> None:
    assert looked(machine, *deed)["wrong"] == 0
    assert not machine.home.exists(), "there is none yet, and none is made"
    machine.home.mkdir(mode=0o755)
    (machine.home / "thesis.txt").write_text("years of work")
    before = tree(machine.home)
    assert "holds other things" in wrong(looked(machine, *deed))["home"]
    assert tree(machine.home) == before
    if os.geteuid() == 0:
        for name in ("runs", "attempts", "sources", "backups"):
            (machine.home / name).mkdir()
        (machine.home / "rund.db").touch()
        os.chown(machine.home, 12345, 12345)
        before = tree(machine.home)
        assert "belongs to another user" in wrong(looked(machine, *deed))["home"]
        assert tree(machine.home) == before


def test_what_is_safe_is_mended(machine: Machine) -> None:
    used(machine)
    stopped(machine)
    home = machine.home
    (home / "removed").rmdir()
    (home / "runs").chmod(0o755)
    (home / "rund.db").chmod(0o644)
    precious = machine.folder / "precious"
    precious.write_text("no socket")
    (home / "socket").write_text(f"{precious}\n")
    with (home / "rund.log").open("wb") as log:
        log.truncate(65 * 1024**2)
        log.seek(0, os.SEEK_END)
        log.write(b"the end\n")
    found = looked(machine)
    assert found["wrong"] == 5
    assert "is no socket" in wrong(found)["socket"]
    fixed = looked(machine, "--fix")
    assert fixed["wrong"] == 0
    assert sum(each["level"] == "fixed" for each in fixed["findings"]) == 5
    assert precious.read_text() == "no socket"
    assert (home / "rund.log").read_bytes().endswith(b"the end\n")
    assert (home / "rund.log").stat().st_size == 1024**2
    assert not (home / "socket").exists()
    assert looked(machine)["wrong"] == 0
    machine.start()
    assert machine.json("status")["counts"]["completed"] == 1


def test_what_is_closed_to_its_owner_is_told_and_opened(machine: Machine) -> None:
    used(machine)
    machine.kill()
    for name in ("start.lock", "rund.log"):  # as a client that starts a daemon makes them
        (machine.home / name).touch(mode=0o600)
    names = ("attempts", "start.lock", "rund.db", "rund.db-wal", "rund.db-shm", "rund.log")
    modes = {name: (machine.home / name).stat().st_mode for name in names}
    for name in names:
        (machine.home / name).chmod(0o500 if name == "attempts" else 0o400)
    found = looked(machine)
    told = {each["what"] for each in found["findings"] if each["level"] == "wrong"}
    assert told == {f"{machine.home / name} is closed to its owner" for name in names}
    assert looked(machine, "--fix")["wrong"] == 0
    assert {name: (machine.home / name).stat().st_mode for name in names} == modes
    assert looked(machine)["wrong"] == 0


def test_counts_that_are_wrong_are_counted_anew(machine: Machine) -> None:
    used(machine)
    batch = machine.json("run", "-d", "one.py", "n=[1,2,3]")["run"]["id"]
    machine.ctl("wait", batch, check=True)
    stopped(machine)
    connection = sqlite3.connect(machine.home / "rund.db", isolation_level=None)
    connection.execute("UPDATE counts SET runs = runs + 7 WHERE status = 'completed'")
    connection.execute("UPDATE trial_counts SET runs = 1")
    connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (batch,))
    connection.close()
    machine.start()
    assert "counts of runs by status are wrong" in wrong(looked(machine))["store"]
    assert "are wrong" in wrong(looked(machine, "--fix"))["store"], "not under a daemon"
    stopped(machine)
    fixed = looked(machine, "--fix")
    assert fixed["wrong"] == 0
    assert any(
        each["level"] == "fixed" and "counts of runs by status were wrong" in each["what"] for each in fixed["findings"]
    )
    assert looked(machine)["wrong"] == 0
    machine.start()
    counts = machine.json("status")["counts"]
    assert (counts["completed"], counts["running"]) == (5, 0)
    run = machine.json("show", batch)["run"]
    assert (run["status"], run["counts"]["completed"], run["counts"]["running"]) == ("completed", 3, 0)


def test_what_cannot_be_mended_is_told(machine: Machine) -> None:
    run = used(machine)
    stopped(machine)
    home = machine.home
    (home / "reserve").unlink(missing_ok=True)
    os.mkfifo(home / "reserve")
    (home / "sources").rename(home / "elsewhere")
    (home / "sources").write_text("")
    (home / "lock").unlink()
    os.mkfifo(home / "lock")
    connection = sqlite3.connect(home / "rund.db", isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("UPDATE runs SET flags = '{'")
    connection.close()
    config = machine.folder / ".config" / "rund" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("slots = 'many'")
    found = looked(machine)
    told = [each["what"] for each in found["findings"] if each["level"] == "wrong"]
    for words in (
        "reserve is no regular file",
        "sources is no folder",
        "lock is no regular file",
        f"1 damaged runs ({run[:8]}: its flags cannot be read)",
        "slots is 'many'",
    ):
        assert any(words in what for what in told), (words, told)
    assert looked(machine, "--fix")["wrong"] >= 5


def test_a_daemon_that_hangs_or_lost_its_database_is_told(machine: Machine) -> None:
    used(machine)
    daemon = machine.daemons[-1]
    assert looked(machine, "--restore")["findings"][0]["what"] == "a daemon runs, and uses the database"
    daemon.send_signal(signal.SIGSTOP)
    try:
        assert f"(pid {daemon.pid}) does not answer" in wrong(looked(machine, hangs=True))["daemon"]
    finally:
        daemon.send_signal(signal.SIGCONT)
    database = machine.home / "rund.db"
    database.rename(machine.folder / "taken.db")
    found = wrong(looked(machine))
    assert "is missing" in found["store"]
    assert "is gone" in found["daemon"]
    assert "is gone" in machine.ctl("status").stdout
    (machine.folder / "taken.db").rename(database)
    assert looked(machine)["wrong"] == 0


def test_where_the_socket_is_to_lie_is_looked_at(machine: Machine) -> None:
    used(machine)
    stopped(machine)
    path = machine.socket
    shutil.rmtree(path.parent)
    path.parent.mkdir(mode=0o700)
    path.write_text("no socket")
    assert "is no socket" in wrong(looked(machine))["socket"]
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stale, ShortPath(str(path)) as short:
        stale.bind(short)
    assert looked(machine)["wrong"] == 0, "a stale socket is replaced by the next daemon"
    if os.geteuid() == 0:
        os.chown(path.parent, 12345, 12345)
        assert "belongs to another user" in wrong(looked(machine))["socket"]
        os.chown(path.parent, 0, 0)


def test_the_last_backup_takes_the_place_of_a_damaged_database(machine: Machine) -> None:
    run = used(machine)
    backups = machine.home / "backups"
    backups.mkdir(mode=0o700)
    machine.ctl("backup", str(machine.folder / "copy.db"), check=True)
    (machine.folder / "copy.db").rename(backups / "rund-20260101T000000Z.db")
    machine.ctl("label", run, "later", check=True)
    machine.kill()
    (machine.home / "rund.db-wal").unlink()
    damaged = (machine.home / "rund.db").read_bytes()
    assert "runctl doctor --restore" in machine.ctl("list").stderr
    assert "its log rund.db-wal was removed" in wrong(looked(machine))["store"]
    restored = looked(machine, "--restore")
    assert restored["wrong"] == 0
    (kept,) = (machine.home / "damaged").iterdir()
    assert (kept / "rund.db").read_bytes() == damaged
    assert str(kept) in restored["findings"][0]["what"]
    machine.start()
    assert machine.json("show", run)["run"]["status"] == "completed"
    assert machine.json("show", run)["run"]["label"] is None, "it is as it was at the backup"
    assert machine.ctl("run", "one.py").returncode == 0


def test_what_is_no_backup_is_not_put_in_place(machine: Machine) -> None:
    used(machine)
    stopped(machine)
    before = (machine.home / "rund.db").read_bytes()
    (machine.folder / "text.db").write_text("no database" * 1000)
    connection = sqlite3.connect(machine.folder / "other.db", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    (machine.folder / "cut.db").write_bytes(before[: len(before) // 2])
    for name in ("text.db", "other.db", "cut.db", "missing.db", "home"):
        assert wrong(looked(machine, "--restore", str(machine.folder / name)))["restore"]
        assert (machine.home / "rund.db").read_bytes() == before
    assert "there is no backup" in wrong(looked(machine, "--restore"))["restore"]
    assert not list((machine.home / "damaged").iterdir())


def test_a_home_that_cannot_be_written_is_told_and_is_no_daemons(machine: Machine) -> None:
    used(machine)
    stopped(machine)
    script = (
        f"mount --bind '{machine.home}' '{machine.home}' && mount -o remount,ro,bind '{machine.home}' && exec \"$@\""
    )
    command = ["unshare", "--mount", "sh", "-c", script, "sh", BIN / "runctl", "doctor", "--fix"]
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root may mount")
    done = subprocess.run(
        command, env=machine.env, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL
    )
    if "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 1, done
    assert "nothing can be written" in done.stdout
    assert "note   daemon    none runs" in done.stdout
    wait_until(lambda: not machine.processes())
