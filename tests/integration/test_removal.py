"""Removing what a run has left, whatever it is: all of it, nothing else, and nothing is waited for."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rund.store.removal import remove_all, take
from tests.integration.bare_shim import ROOT

LEVELS = 1_200  # more than Python recurses; tests/faults/test_hostile_folders.py goes deeper


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "removed"
    made.mkdir()
    yield made
    shutil.rmtree(tmp_path / "outside", ignore_errors=True)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    (made / "below").mkdir(parents=True)
    (made / "below" / "precious").write_text("data")
    return made


def is_whole(outside: Path) -> bool:
    return (
        sorted(path.name for path in outside.rglob("*")) == ["below", "precious"]
        and (outside / "below" / "precious").read_text() == "data"
    )


def make_deep(folder: Path, levels: int) -> None:
    """Folders in folders, by descriptors: their path is longer than any path may be."""
    inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("deeper", dir_fd=inner)
        os.close(os.open("file", os.O_CREAT, dir_fd=inner))
        outer, inner = inner, os.open("deeper", os.O_RDONLY | os.O_DIRECTORY, dir_fd=inner)
        os.close(outer)
    os.close(inner)


@contextlib.contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_thousands_of_levels_are_removed_with_a_few_descriptors(place: Path) -> None:
    (place / "run").mkdir()
    make_deep(place / "run", LEVELS)
    with few_descriptors(6):
        assert remove_all(place) == []
    assert list(place.iterdir()) == []


def test_nothing_is_followed_opened_or_waited_for(place: Path, outside: Path) -> None:
    run = place / "run"
    (run / "folder").mkdir(parents=True)
    for folder in (place, run, run / "folder"):
        os.mkfifo(folder / "fifo")
        (folder / "link").symlink_to(outside / "below" / "precious")
        (folder / "folder-link").symlink_to(outside)
        (folder / "up").symlink_to("..")
        (folder / "nowhere").symlink_to("nowhere")
        os.link(outside / "below" / "precious", folder / "hard")
        os.close(os.open(os.fsencode(folder) + b"/\xff\n\x1b", os.O_CREAT))
        with (folder / "huge").open("wb") as file:
            file.truncate(2**40)
        if os.geteuid() == 0:
            with contextlib.suppress(PermissionError):  # a container may forbid it
                os.mknod(folder / "device", 0o600 | 0o020000, os.makedev(1, 3))
    here = Path.cwd()
    os.chdir(run)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
    finally:
        os.chdir(here)
    assert remove_all(place) == []
    assert list(place.iterdir()) == []
    assert is_whole(outside)


def test_a_folder_with_many_entries_is_removed(place: Path) -> None:
    for number in range(100):
        folder = place / "run" / f"{number}"
        folder.mkdir(parents=True)
        for file in range(5):
            (folder / f"{file}").touch()
    assert remove_all(place) == []
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("times", range(2))
def test_folders_that_become_links_while_they_are_removed_lead_nowhere(place: Path, outside: Path, times: int) -> None:
    run = place / "run"
    for number in range(100):
        (run / f"{number}" / "below").mkdir(parents=True)
        (run / f"{number}" / "below" / "precious").touch()
    over = threading.Event()

    def swap() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 100
            swapped = run / f"{number}"
            with contextlib.suppress(OSError):
                swapped.rename(run / f"aside-{number}")
                swapped.symlink_to(outside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        remove_all(place)
    finally:
        over.set()
        swapper.join()
    assert is_whole(outside)
    assert remove_all(place) == []
    assert list(place.iterdir()) == []


def test_what_is_taken_goes_through_no_link(tmp_path: Path, place: Path, outside: Path) -> None:
    (tmp_path / "runs").symlink_to(outside)
    home = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in ("runs/below", "runs/../outside", "../" + tmp_path.name + "/outside", ".."):
            with pytest.raises(OSError, match=r".") as raised:
                take(home, path, "removed", "taken")
            assert raised.value.errno in (errno.ENOTDIR, errno.ELOOP, errno.EINVAL)
        take(home, "missing", "removed", "taken")
        take(home, "missing/below", "removed", "taken")
        take(home, "runs", "removed", "taken")
    finally:
        os.close(home)
    assert (place / "taken").is_symlink()
    assert is_whole(outside)
    assert remove_all(place) == []


def without_power(code: str, *args: Path) -> str:
    """What Python code prints that runs as this user, but without root's power over all files."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {ROOT!r})\n{code}", *map(str, args)]
    if os.geteuid() == 0:
        powers = "-dac_override,-dac_read_search,-fowner,-chown"
        command = ["setpriv", "--bounding-set", powers, "--inh-caps", powers, *command]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


REMOVE = "from pathlib import Path\nfrom rund.store.removal import remove_all\nprint(remove_all(Path(sys.argv[1])))"


def test_what_a_run_has_closed_to_its_owner_is_opened_again(place: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom rund.store.directories import Directories\n"
        "home = Path(sys.argv[1])\ndirectories = Directories(home)\ndirectories.make()\n"
        "run = directories.run('ab' * 16)\n"
        "for folder in ('a/b', 'c/d', 'e/f'):\n"
        "    (run / folder).mkdir(parents=True)\n    (run / folder / 'file').touch(0o000)\n"
        "for folder, mode in (('a/b', 0o000), ('a', 0o000), ('c/d', 0o500), ('c', 0o300), ('e', 0o600), ('', 0o000)):\n"
        "    (run / folder).chmod(mode)\n"
        "print(directories.take_away([str(run.relative_to(home))]), directories.remove_taken(lambda: False))\n"
        "print(os.listdir(home / 'removed'), list((home / 'runs').glob('*/*')))\n"
    )
    assert without_power(code, place / "home") == "{} []\n[] []\n"


def test_the_mode_of_what_a_link_means_is_never_changed(place: Path, outside: Path) -> None:
    outside.chmod(0o500)
    (place / "run").mkdir()
    (place / "run" / "link").symlink_to(outside)
    (place / "run").chmod(0o000)
    assert without_power(REMOVE, place) == "[]\n"
    assert outside.stat().st_mode & 0o777 == 0o500
    outside.chmod(0o700)
    assert is_whole(outside)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_what_cannot_be_removed_is_told_and_all_else_is_removed(place: Path) -> None:
    closed = place / "run" / "closed"
    (closed / "below").mkdir(parents=True)
    (place / "run" / "open").mkdir()
    (place / "other").mkdir()
    os.chown(closed, 65534, 65534)
    assert without_power(REMOVE, place) == f"['{place}/run: operation not permitted (closed)']\n"
    assert [path.name for path in place.rglob("*")] == ["run", "closed", "below"]
    assert remove_all(place) == []
    assert list(place.iterdir()) == []


def test_a_removal_that_is_given_up_stops_where_it_is_and_is_gone_on_with(tmp_path: Path) -> None:
    place = tmp_path / "place"
    folder = place / "folder"
    folder.mkdir(parents=True)
    for number in range(10):
        (folder / str(number)).touch()
    looks = iter([False] * 4)
    assert remove_all(place, lambda: next(looks, True)) == []
    assert len(list(folder.iterdir())) == 6
    assert remove_all(place) == []
    assert list(place.iterdir()) == []
