"""A full disk: what adds is refused, what ends or frees is done, reading goes on, and work goes on when there is room."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from rund.store.reserve import SIZE
from tests.faults.small_disk import Disk, require, small_disk
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

WAIT = "import os, time\nname = 'a'\nprint('up')\nwhile not os.path.exists('{folder}/' + name):\n    time.sleep(0.05)\nprint('down')\n"
MIB = 1_048_576


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Disk]:
    """A disk of a few MiB, at the machine's home."""
    with small_disk(request.param, machine.home, machine.folder, size=12 * MIB) as disk:
        machine.launcher = disk.launcher
        machine.env["RUND_SOCKET"] = str(machine.folder / "socket")
        machine.script("wait.py", WAIT.format(folder=machine.project))
        machine.script("echo.py", "x = 1\nprint(x)\n")
        yield disk
        machine.close()  # what lives on the disk, before it goes


def status_of(machine: Machine, run_id: str) -> str:
    return str(machine.json("show", run_id)["run"]["status"])


def waiting_run(machine: Machine, name: str) -> str:
    run_id = str(machine.json("run", "-d", "wait.py", f"name={name}")["run"]["id"])
    wait_until(lambda: machine.ctl("logs", run_id).stdout == "up\n")
    return run_id


def test_on_a_full_disk_what_ends_and_frees_is_done_and_the_rest_waits(machine: Machine, disk: Disk) -> None:
    machine.start(RUND_SLOTS="2")
    done = machine.json("run", "-d", "echo.py")["run"]["id"]
    machine.ctl("wait", done, check=True)
    ending, stopped = waiting_run(machine, "ending"), waiting_run(machine, "stopped")
    pending = machine.json("run", "-d", "echo.py", "x=2")["run"]["id"]
    disk.fill()

    refused = machine.ctl("run", "-d", "echo.py", "x=3")
    assert (refused.returncode, "full" in refused.stderr) == (1, True), refused.stderr
    assert machine.json("list")["total"] == 4
    # What is written takes what is left of the log's last blocks first; then there is nothing.
    wait_until(lambda: [machine.ctl("label", done, "more"), machine.json("status")["fault"]][1])
    assert "full" in machine.ctl("label", done, "x" * 200).stderr

    machine.ctl("pause", check=True)
    machine.ctl("stop", stopped, check=True)
    assert status_of(machine, stopped) == "terminated"
    (machine.project / "ending").touch()
    machine.ctl("wait", ending, check=True)
    assert status_of(machine, ending) == "completed"
    machine.ctl("delete", done, check=True)
    machine.ctl("resume", check=True)
    assert status_of(machine, pending) == "pending"
    assert "full" in machine.json("status")["fault"]
    assert "fault" in machine.ctl("status", check=True).stdout

    machine.kill()
    machine.start(RUND_SLOTS="2")
    assert [status_of(machine, run_id) for run_id in (ending, stopped)] == ["completed", "terminated"]
    disk.free()
    machine.ctl("wait", pending, check=True)
    assert status_of(machine, pending) == "completed"
    wait_until(lambda: machine.json("status")["fault"] is None)
    machine.ctl("label", ending, "again", check=True)
    reserve = disk.root / "reserve"
    assert (reserve.stat().st_size, reserve.stat().st_blocks * 512 >= SIZE) == (SIZE, True)
    log = (machine.folder / "rund.log").read_text()
    assert "the disk that holds rund's home is full" in log
    assert "could not be given the room" not in log


def test_a_purge_makes_room_on_a_full_disk_and_work_goes_on_by_itself(machine: Machine, disk: Disk) -> None:
    machine.start()
    machine.script("large.py", f"open('large', 'wb').write(bytes({5 * MIB}))\n")
    large = machine.json("run", "-d", "large.py")["run"]["id"]
    machine.ctl("wait", large, check=True)
    disk.fill()
    wait_until(lambda: "full" in machine.ctl("run", "-d", "echo.py").stderr)
    machine.ctl("delete", large, check=True)
    machine.ctl("purge", "-y", check=True)
    assert disk.free_bytes() > 2 * MIB
    wait_until(lambda: machine.json("status")["fault"] is None)
    assert machine.ctl("run", "echo.py", check=True).stdout == "1\n"


def test_a_trial_whose_output_fills_the_disk_has_its_true_end_and_all_goes_on_when_it_is_purged(
    machine: Machine, disk: Disk
) -> None:
    machine.start()
    machine.script(
        "floods.py",
        "import os\ntry:\n    while True:\n        os.write(1, b'x' * 4096)\n"
        "except OSError as error:\n    raise SystemExit(error.errno)\n",
    )
    run = machine.json("run", "-d", "floods.py")["run"]["id"]
    machine.ctl("wait", run)
    found = machine.json("show", run)["run"]
    assert (found["status"], found["reason"], found["attempts"]) == ("error", f"exit {errno.ENOSPC}", 1)
    assert len(machine.ctl("logs", run, check=True).stdout) > 5 * MIB
    wait_until(lambda: "full" in machine.ctl("run", "-d", "echo.py").stderr)
    machine.kill()
    machine.start()
    assert machine.json("show", run)["run"]["reason"] == found["reason"]
    machine.ctl("delete", run, check=True)
    machine.ctl("purge", "-y", check=True)
    wait_until(lambda: machine.json("status")["fault"] is None)
    assert machine.ctl("run", "echo.py", "x=5", check=True).stdout == "5\n"


def test_a_daemon_that_was_stopped_starts_on_a_full_disk_and_answers(machine: Machine, disk: Disk) -> None:
    daemon = machine.start()
    done = machine.json("run", "-d", "echo.py")["run"]["id"]
    machine.ctl("wait", done, check=True)
    daemon.terminate()
    assert daemon.wait(DEADLINE) == 0
    disk.fill()
    machine.start()
    assert machine.ctl("logs", done, check=True).stdout == "1\n"
    assert machine.ctl("delete", done, check=True).returncode == 0


def test_the_socket_s_note_without_room_is_tried_now_and_then_and_leaves_nothing(machine: Machine, disk: Disk) -> None:
    machine.start()
    note = disk.root / "socket"

    def failures() -> list[str]:
        lines = (machine.folder / "rund.log").read_text().splitlines()
        return [line for line in lines if "/socket cannot be written: No space left" in line]

    def failed_twice() -> bool:
        if note.exists():  # it found room yet
            note.unlink()
            disk.fill()
        return len(failures()) > 1

    wait_until(failed_twice)
    wait_until(lambda: not list(disk.root.glob(".socket-*")))
    disk.free()
    wait_until(note.exists)
    first, second = (datetime.fromisoformat(line[:23]) for line in failures()[:2])
    assert (second - first).total_seconds() > 1  # a disk takes its time, too
    assert machine.ctl("status", "--no-start").returncode == 0


def test_a_first_start_on_a_full_disk_is_refused_in_one_line_or_works(machine: Machine, disk: Disk) -> None:
    (disk.root / "runs").mkdir(mode=0o700)
    disk.fill()
    daemon = subprocess.run(
        [*disk.launcher, BIN / "rund"], env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert daemon.returncode == 1
    (line,) = daemon.stderr.splitlines()
    assert "full" in line or "No space left" in line
    # By a client, which writes a log there.
    client = subprocess.run(
        [*disk.launcher, BIN / "runctl", "list"],
        env={name: value for name, value in machine.env.items() if name != "RUND_SOCKET"},
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert client.returncode == 3
    assert len(client.stderr.splitlines()) == 1, client.stderr
    disk.free()
    machine.start()
    assert machine.ctl("run", "echo.py", check=True).stdout == "1\n"


def test_a_backup_onto_a_full_disk_leaves_nothing_and_hinders_nobody(machine: Machine, tmp_path: Path) -> None:
    with small_disk("tmpfs", tmp_path / "small", tmp_path, size=65_536) as disk:
        machine.launcher = disk.launcher
        machine.start()
        refused = machine.ctl("backup", str(tmp_path / "small" / "copy.db"))
        assert refused.returncode == 1
        assert "is full: no backup was made" in refused.stderr
        assert not list(disk.root.iterdir())
        machine.ctl("backup", str(tmp_path / "copy.db"), check=True)
        machine.ctl("daemon", "stop", check=True)


@pytest.mark.parametrize("folder", ["there", "to be made"])
def test_a_folder_of_the_socket_without_room_is_tried_again_by_systemd(machine: Machine, folder: str) -> None:
    require()
    runtime = machine.folder / "runtime"
    runtime.mkdir(mode=0o700)
    machine.env["RUND_SOCKET"] = str(runtime / "socket" if folder == "there" else runtime / "rund" / "socket")
    # A file system of a single inode, which is its root's.
    mounted = f"mount -t tmpfs -o nr_inodes=1,mode=700 tmpfs '{runtime}' && exec '{BIN}/rund'"
    started = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert started.returncode == 1, "78 would not be started again"
    assert "No space left on device: free some space there, or set RUND_SOCKET" in started.stderr.splitlines()[-1]
