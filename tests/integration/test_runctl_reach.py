"""Reaching the daemon: where it is looked for, whose it must be, and how it is started."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from runctl.command import main
from runctl.failures import NoDaemonError
from runctl.launch import launch
from runctl.places import default_socket
from runctl.reach import connect, reach

from rund.errors import InvalidError
from tests.integration.fake_daemon import fake_daemon

# A daemon that counts its starts, listens after a while, and ends when its first client has gone.
LATE = """
import os, socket, sys
folder = os.path.dirname(sys.argv[1])
with open(folder + "/starts", "a") as starts:
    starts.write("x")
listener = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(sys.argv[1]))
listener.bind(os.path.basename(sys.argv[1]))
listener.listen(100)
clients = []
for _ in range(int(sys.argv[2])):
    clients.append(listener.accept()[0])
    clients[-1].sendall(bytes([0x94, 1, 1, 0xC0, 0x80]))  # the answer to request 1: {}
for client in clients:
    while client.recv(1000):
        pass
"""


def environ_of(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "RUND_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")} | more


def test_the_socket_that_the_daemon_wrote_down_comes_first(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text(f"{tmp_path / 'elsewhere'}\n")
    with fake_daemon(tmp_path / "elsewhere") as daemon:
        daemon.answers["hello"] = {}
        reach(environ_of(tmp_path), start=False).close()


def test_a_socket_that_is_left_over_does_not_hide_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text(f"{tmp_path / 'gone'}\n")
    environ = environ_of(tmp_path)
    default = Path(default_socket(str(tmp_path), environ))
    default.parent.mkdir(parents=True)
    with fake_daemon(default) as daemon:
        daemon.answers["hello"] = {}
        reach(environ, start=False).close()


def test_a_note_of_what_cannot_be_used_does_not_hide_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "socket").write_text(f"{tmp_path / 'loop' / 'socket'}\n")
    environ = environ_of(tmp_path)
    assert connect(environ) is None
    default = Path(default_socket(str(tmp_path), environ))
    default.parent.mkdir(parents=True)
    with fake_daemon(default) as daemon:
        daemon.answers["hello"] = {}
        reach(environ, start=False).close()
    shutil.rmtree(default.parent)
    default.parent.symlink_to(default.parent)
    with pytest.raises(NoDaemonError, match="cannot be used: Too many levels"):
        connect(environ)


def test_a_daemon_that_ends_while_it_is_greeted_is_none_that_answers(tmp_path: Path) -> None:
    environ = environ_of(tmp_path)
    default = Path(default_socket(str(tmp_path), environ))
    default.parent.mkdir(parents=True)
    with fake_daemon(default) as daemon:
        daemon.answers["hello"] = lambda **_: daemon.hang_up()
        assert connect(environ) is None


def test_a_path_longer_than_an_address_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with fake_daemon(Path("socket")):
        reach({"RUND_SOCKET": str(folder / "socket")}, start=False).close()


def test_nothing_is_asked_of_a_daemon_with_another_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUND_HOME", str(tmp_path))
    monkeypatch.setenv("RUND_SOCKET", str(tmp_path / "other"))
    with fake_daemon(tmp_path / "other") as daemon:
        daemon.answers["hello"] = InvalidError("home: this daemon's home is another")
        assert main(["delete", "6d0f"]) == 2
        assert daemon.asked == [("hello", {"protocol": 1, "home": str(tmp_path)})]


@pytest.mark.parametrize("environ", [{}, {"RUNCTL_NO_START": "1"}])
def test_a_start_can_be_forbidden(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: Mapping[str, str],
) -> None:
    monkeypatch.delenv("RUND_SOCKET", raising=False)
    for name, value in {**environ_of(tmp_path / "home"), **environ}.items():
        monkeypatch.setenv(name, value)
    assert main(["list"] if environ else ["--no-start", "list"]) == 3
    assert "start one with `runctl daemon start`" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_twenty_clients_at_once_start_one_daemon(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environ = environ_of(home, XDG_RUNTIME_DIR=str(tmp_path / "run"))
    socket = Path(default_socket(str(home), environ))
    socket.parent.mkdir(parents=True)
    command = [sys.executable, "-c", LATE, str(socket), "20"]
    reached = []

    def client() -> None:
        reached.append(launch(environ, command=command))

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in reached:
        connection.close()
    assert len(reached) == 20
    assert (socket.parent / "starts").read_text() == "x"
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_daemon_that_ends_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "rund.log").write_text("of yesterday\n")
    command = [sys.executable, "-c", "import sys; sys.exit('rund: this home cannot be used\\n')"]
    with pytest.raises(NoDaemonError, match="ended at its start: rund: this home cannot be used"):
        launch(environ_of(tmp_path), command=command)
    with pytest.raises(NoDaemonError, match="it said nothing"):
        launch(environ_of(tmp_path), command=[sys.executable, "-c", ""])


def test_a_daemon_that_never_answers_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    pid = os.open(tmp_path / "pid", os.O_RDWR)
    command = ["sh", "-c", 'echo $$ > "$1"; exec sleep 1000', "sh", str(tmp_path / "pid")]
    with pytest.raises(NoDaemonError, match="does not answer"):
        launch(environ_of(tmp_path / "home"), command=command, patience=1.0)
    os.kill(int(os.read(pid, 100)), 9)
    os.close(pid)


def test_no_daemon_is_started_for_a_socket_that_is_not_the_homes(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match="unset RUND_SOCKET"):
        launch(environ_of(tmp_path, RUND_SOCKET=str(tmp_path / "other")), command=["false"])


def test_no_daemon_is_started_within_a_run(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match="within a run"):
        launch(environ_of(tmp_path, RUND_RUN_ID="6d0f"), command=["false"])
