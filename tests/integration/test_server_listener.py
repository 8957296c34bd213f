"""The socket in the file system: its modes, its place, whose it is; and the one that systemd hands over."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rund.errors import InvalidError
from rund.server.listener import inherited_listener, listen, remove


def connect(path: Path) -> None:
    """Connect through the file itself, so that the length of its path does not matter."""
    entry = os.open(path, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/proc/self/fd/{entry}")
    os.close(entry)


def test_the_socket_and_its_new_folder_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "folder" / "socket"
    with listen(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert list(path.parent.iterdir()) == [path]
        connect(path)


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from rund.server import listener; os.umask(0);"
    code += "listener.listen(pathlib.Path(sys.argv[1]))"
    path = tmp_path / "folder" / "socket"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(InvalidError, match="others may write"):
        listen(tmp_path / "socket")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(InvalidError, match="another user"):
        listen(tmp_path / "socket")


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    with listen(path):
        connect(path)


@pytest.mark.parametrize("folders", range(0, 60, 7))
def test_a_path_of_any_length_works(tmp_path: Path, folders: int) -> None:
    path = tmp_path.joinpath(*["folder"] * folders, "socket")
    with listen(path):
        connect(path)


def test_a_long_name_works_and_one_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with listen(tmp_path / ("s" * 255)):
        connect(tmp_path / ("s" * 255))
    with pytest.raises(InvalidError, match="File name too long"):
        listen(tmp_path / ("s" * 256))
    assert list(tmp_path.iterdir()) == [tmp_path / ("s" * 255)]


@pytest.mark.parametrize("place", ["folder", "file/socket"])
def test_a_path_that_cannot_be_a_socket_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InvalidError, match="RUND_SOCKET"):
        listen(tmp_path / place)


def test_remove_unlinks_the_own_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(path) as old, listen(path) as new:
        remove(path, old)
        connect(path)
        remove(path, new)
        assert not path.exists()
        remove(path, new)


def test_nothing_is_inherited_unless_it_is_for_this_process() -> None:
    assert inherited_listener({}) is None
    assert inherited_listener({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


INHERIT = textwrap.dedent("""
    import os, sys
    from rund.errors import InvalidError
    from rund.server.listener import inherited_listener
    os.dup2(int(sys.argv[2]), 3)
    try:
        listener = inherited_listener({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[1]})
    except InvalidError as error:
        print(error)
    else:
        print(os.get_inheritable(3))
        listener.accept()[0].sendall(b"hello")
""")


def inherit(descriptor: int, count: str) -> subprocess.Popen[str]:
    """A process that was handed ``descriptor`` as its descriptor 3."""
    command = [sys.executable, "-c", INHERIT, count, str(descriptor)]
    return subprocess.Popen(command, pass_fds=[descriptor], stdout=subprocess.PIPE, text=True)


def test_the_socket_that_systemd_hands_over_is_used_and_left_in_place(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(path) as listener:
        listener.setblocking(True)
        process = inherit(listener.fileno(), "1")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        assert client.recv(9) == b"hello"
    assert process.communicate(timeout=60)[0] == "False\n"
    assert path.exists()


@pytest.mark.parametrize(("count", "message"), [("2", "2 sockets"), ("1", "no socket")])
def test_other_things_that_systemd_hands_over_are_refused(tmp_path: Path, count: str, message: str) -> None:
    with (tmp_path / "file").open("w+") as file:
        process = inherit(file.fileno(), count)
        assert message in process.communicate(timeout=60)[0]
