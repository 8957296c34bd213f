"""The socket, its folder, the lock or the home removed, left over, copied; many daemons at once: real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from runctl.connection import ShortPath

from tests.process.conftest import BIN, DEADLINE, Machine, wait_until


def answers(machine: Machine) -> bool:
    """Whether the daemon that runs already answers."""
    return machine.ctl("status", "--no-start").returncode == 0


def said(machine: Machine) -> list[str]:
    return (machine.folder / "rund.log").read_text().splitlines()


def remove(folder: Path) -> None:
    """Remove a folder in which the daemon may make something again meanwhile."""
    while True:
        try:
            return shutil.rmtree(folder)
        except OSError:  # something is in it again
            continue


def test_a_removed_socket_is_bound_again(served: Machine) -> None:
    for _ in range(3):
        path = served.socket
        found = path.stat().st_ino
        path.unlink()
        wait_until(lambda path=path, found=found: path.exists() and path.stat().st_ino != found)
        assert answers(served)


def test_a_removed_folder_of_the_socket_is_made_again(served: Machine) -> None:
    path = served.socket
    for folder in (path.parent, path.parent.parent):
        remove(folder)
        wait_until(path.exists)
        assert answers(served)


def test_a_folder_of_the_socket_that_was_moved_is_made_again(served: Machine) -> None:
    path = served.socket
    path.parent.rename(served.folder / "moved")
    wait_until(path.exists)
    assert answers(served)


def test_a_socket_that_another_file_replaced_is_bound_again(served: Machine) -> None:
    path = served.socket
    other = path.with_name("other")
    other.write_text("no socket\n")
    other.rename(path)
    wait_until(path.is_socket)
    assert answers(served)


def test_the_note_of_the_socket_is_written_again(served: Machine) -> None:
    path = served.socket
    (served.home / "socket").unlink()
    wait_until((served.home / "socket").exists)
    wait_until(lambda: (served.home / "socket").read_text() == f"{path}\n")


def test_a_stale_socket_is_replaced_and_a_missing_runtime_folder_is_made(machine: Machine) -> None:
    machine.start()
    stale = machine.socket
    machine.kill()
    assert stale.is_socket()
    with socket.socket(socket.AF_UNIX) as client, ShortPath(str(stale)) as short, pytest.raises(ConnectionRefusedError):
        client.connect(short)
    machine.start()
    assert answers(machine)
    machine.kill()
    shutil.rmtree(machine.folder / "run")
    machine.start()
    assert answers(machine)


def test_ten_daemons_at_once_are_one_and_nine_clear_refusals(machine: Machine) -> None:
    daemons = [
        subprocess.Popen([BIN / "rund"], env=machine.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    machine.daemons += daemons
    wait_until(lambda: sum(daemon.poll() is not None for daemon in daemons) == 9)
    (winner,) = (daemon for daemon in daemons if daemon.poll() is None)
    wait_until(lambda: answers(machine))
    assert machine.json("status")["pid"] == winner.pid
    for daemon in daemons:
        if daemon is not winner:
            _, error = daemon.communicate(timeout=DEADLINE)
            assert daemon.returncode > 0
            (line,) = error.splitlines()
            assert "already serves" in line
            assert "set RUND_HOME" in line
    winner.terminate()
    winner.communicate(timeout=DEADLINE)


def test_a_second_daemon_is_refused_although_the_lock_was_removed(served: Machine) -> None:
    (served.home / "lock").unlink()
    second = subprocess.run(
        [BIN / "rund"], env=served.env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert second.returncode > 0
    assert "already serves" in second.stderr
    assert answers(served)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_daemon_whose_home_is_gone_ends_and_says_so(served: Machine, how: str) -> None:
    daemon, path = served.daemons[-1], served.socket
    if how == "removed":
        while served.home.exists():  # the daemon goes on writing until it sees it
            shutil.rmtree(served.home, ignore_errors=True)
    else:
        served.home.rename(served.folder / "elsewhere")
    assert daemon.wait(DEADLINE) > 0
    line = said(served)[-1]
    assert f"the home {served.home} was removed or moved" in line
    assert "Traceback" not in "\n".join(said(served))
    assert not served.home.exists()
    assert not path.exists()
    if how == "moved":
        (served.folder / "elsewhere").rename(served.home)
        served.start()
        assert answers(served)


def stands_still(pid: int) -> bool:
    """Whether a stop has come to every thread of a process."""
    try:
        stats = [(thread / "stat").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):  # one has just ended
        return False
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def test_a_copied_home_has_a_daemon_of_its_own(served: Machine) -> None:
    served.script("echo.py", "x = 1\nprint(x)\n")
    served.ctl("run", "echo.py", check=True)
    daemon = served.daemons[-1]
    daemon.send_signal(signal.SIGSTOP)  # a copy of what is being written would be another fault
    try:
        wait_until(lambda: stands_still(daemon.pid))
        shutil.copytree(served.home, served.folder / "copy")
    finally:
        daemon.send_signal(signal.SIGCONT)
    env = {"RUND_HOME": str(served.folder / "copy")}
    try:
        status = served.ctl("status", "--json", env=env, check=True).stdout
        assert str(served.folder / "copy") in status
        assert served.json("status")["home"] == str(served.home)
        assert len(served.ctl("list", env=env, check=True).stdout.splitlines()) == len(
            served.ctl("list", check=True).stdout.splitlines()
        )
    finally:
        served.ctl("daemon", "stop", env=env, check=True)


def test_a_note_that_is_no_file_holds_up_neither_client_nor_daemon(machine: Machine) -> None:
    machine.start()
    machine.kill()
    note = machine.home / "socket"
    note.unlink()
    os.mkfifo(note)
    machine.start()
    assert answers(machine)
    assert note.is_file()


def test_a_note_that_is_no_socket_of_a_daemon_is_ignored_by_clients(served: Machine) -> None:
    path = served.home / "socket"
    whole = path.read_bytes()
    for note in (b"/tmp/" + b"s" * 200, b"/tmp/" + b"s" * 5000, b"/tmp/a\0b\n", b"relative\n", b"/tmp/a\n/tmp/b\n"):
        path.write_bytes(note)
        assert answers(served), note[:20]
    path.write_bytes(whole)


def test_a_socket_with_a_name_too_long_for_an_address_is_told(machine: Machine) -> None:
    asked = machine.ctl("status", "--no-start", env={"RUND_SOCKET": f"{machine.folder}/{'s' * 200}"})
    assert asked.returncode == 3
    assert "cannot be used: its name is too long: set RUND_SOCKET to a shorter one" in asked.stderr


def test_a_home_with_a_path_too_long_for_its_database_is_refused(machine: Machine) -> None:
    home = machine.folder
    while len(os.fsencode(home)) <= 490:
        home = home / ("h" * 100)
    started = subprocess.run(
        [BIN / "rund"],
        env=machine.env | {"RUND_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert started.returncode == 78
    (line,) = started.stderr.splitlines()
    assert "bytes, and SQLite takes 490 at most: set RUND_HOME to a shorter one" in line
    assert not (machine.folder / ("h" * 100)).exists()


def test_a_home_with_a_path_as_long_as_may_be_works(machine: Machine) -> None:
    short = len(os.fsencode(machine.folder)) + 1
    middle = (490 - short) // 2
    machine.home = machine.folder / ("h" * middle) / ("h" * (490 - short - middle - 1))
    assert len(os.fsencode(machine.home)) == 490
    machine.env |= {"RUND_HOME": str(machine.home)}
    machine.script("echo.py", "x = 1\nprint(x)\n")
    machine.start()
    assert machine.ctl("run", "echo.py", check=True).stdout == "1\n"


def test_a_daemon_whose_home_is_a_link_that_leads_elsewhere_now_ends_and_says_so(machine: Machine) -> None:
    places = [machine.folder / name for name in ("first", "second")]
    for place in places:
        place.mkdir(mode=0o700)
    machine.home.symlink_to(places[0])
    daemon = machine.start()
    passing = machine.folder / "link"
    passing.symlink_to(places[1])
    passing.rename(machine.home)
    assert daemon.wait(DEADLINE) > 0
    assert f"the home {machine.home} was removed or moved" in said(machine)[-1]
    machine.start()
    assert answers(machine)
