"""Where the client looks for the daemon: where the daemon is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl import launch
from runctl.places import absolute, default_socket, home, sockets
from runctl.user_manager import installed, strangers, unit_folder

from rund.settings import read_settings
from rund.store import directories

ENVIRONS = [
    {"HOME": "/home/ann"},
    {"HOME": "/home/ann/"},
    {"HOME": "/home/ann", "XDG_DATA_HOME": "/data/"},
    {"HOME": "/home/ann", "XDG_DATA_HOME": "data"},
    {"HOME": "/home/ann", "XDG_DATA_HOME": ""},
    {"XDG_DATA_HOME": "/data"},
    {},
    {"HOME": "/home/ann", "RUND_HOME": "/runs/./one//two/"},
    {"HOME": "/home/ann", "RUND_HOME": "a/../runs"},
    {"HOME": "/home/ann", "RUND_HOME": ""},
    {"HOME": "/home/ann", "RUND_HOME": "/runs", "XDG_RUNTIME_DIR": "/run/user/1000"},
    {"HOME": "/home/ann", "XDG_RUNTIME_DIR": "run"},
    {"HOME": "ann"},
    {"HOME": ""},
]


@pytest.mark.parametrize("environ", ENVIRONS, ids=str)
def test_client_and_daemon_mean_the_same_home_and_socket(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "RUND_HOME", "RUND_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(environ)
    assert home(environ) == str(settings.home)
    assert default_socket(home(environ), environ) == str(settings.socket)
    if not environ.get("RUND_HOME"):
        assert home(environ) == str(Path(platformdirs.user_data_dir("rund")))


@given(st.text(alphabet="a./", min_size=1).filter(lambda path: not path.startswith("//")))
def test_an_absolute_path_is_the_one_of_pathlib(path: str) -> None:
    assert absolute(path) == str(Path(path).absolute())


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_note_that_is_no_file_is_none(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "socket")
    environ = {"HOME": "/", "RUND_HOME": str(tmp_path)}
    assert list(sockets(environ)) == [default_socket(str(tmp_path), environ)]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_unit_that_is_no_file_is_none_of_ours(tmp_path: Path, make: Callable[[Path], None]) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    unit_folder(environ).mkdir(parents=True)
    make(unit_folder(environ) / "rund.socket")
    assert installed(environ) is None
    assert strangers(environ) == [unit_folder(environ) / "rund.socket"]


def test_client_and_daemon_agree_on_what_makes_a_folder_a_home() -> None:
    assert launch._BEFORE_THE_STORE == directories._BEFORE_THE_DATABASE
    assert launch._BESIDE_THE_STORE == directories._BESIDE_THE_DATABASE
