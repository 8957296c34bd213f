"""What runs leave in their folders, and do to them: nothing is followed or waited for, nothing outside is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.process.conftest import BIN, Machine, wait_until

# Fills its folder with all that can stand in one.  `deep` is a path longer than any that a call takes.
HOSTILE = """
import os, socket
levels = 3000
outside = os.environ["RUND_HOME"] + "/../outside"
os.mkfifo("fifo")
os.symlink(outside, "link")
os.symlink("/dev/zero", "zero")
os.symlink("loop", "loop")
os.mkdir("closed")
open("closed/file", "w").close()
os.chmod("closed", 0)
with open("huge", "wb") as file:
    file.truncate(2**40)
open(b"\\xff\\n\\x1b[2J", "w").close()
socket.socket(socket.AF_UNIX).bind("socket")
inner = os.open(".", os.O_RDONLY)
for level in range(levels):
    os.mkdir("deeper", dir_fd=inner)
    outer, inner = inner, os.open("deeper", os.O_RDONLY, dir_fd=inner)
    os.close(outer)
print("filled")
"""


@pytest.fixture
def outside(machine: Machine) -> Path:
    made = machine.folder / "outside"
    made.mkdir()
    (made / "precious").write_text("data")
    return made


def left(machine: Machine) -> list[str]:
    """What is in the store beside its database and the folders that every store has."""
    places = [machine.home / name for name in ("runs", "attempts", "removed")]
    return [path.name for place in places for path in place.rglob("*") if len(path.name) != 2]


@pytest.mark.timeout(400)
def test_whatever_a_run_leaves_is_emptied_and_purged_and_nothing_else(served: Machine, outside: Path) -> None:
    served.script("hostile.py", HOSTILE)
    run = served.json("run", "-d", "hostile.py", "levels=3000")["run"]
    served.ctl("wait", run["id"], check=True)
    # It could not make its FIFO again in a folder that is not empty.
    again = served.ctl("restart", run["id"], "--clean", "levels=10", check=True)
    assert again.stdout == "filled\n"
    assert served.ctl("show", run["id"]).returncode == 0
    served.ctl("delete", run["id"], check=True)
    purged = served.json("purge", "-y")
    assert purged == {"runs": [run["id"]], "left": []}
    assert left(served) == []
    assert sorted(path.name for path in outside.iterdir()) == ["precious"]
    assert (outside / "precious").read_text() == "data"


@pytest.mark.parametrize("what", ["link", "fifo", "file", "gone"])
def test_a_run_whose_folder_is_none_any_more_is_purged_and_started_again(
    served: Machine, outside: Path, what: str
) -> None:
    served.script("plain.py", "print('ran')\n")
    run = served.json("run", "-d", "plain.py")["run"]
    served.ctl("wait", run["id"], check=True)
    folder = Path(run["dir"])
    folder.rmdir()
    if what == "link":
        folder.symlink_to(outside)
    elif what == "fifo":
        os.mkfifo(folder)
    elif what == "file":
        folder.touch()
    assert served.ctl("restart", run["id"], "--clean", check=True).stdout == "ran\n"
    assert folder.is_dir()
    assert not folder.is_symlink()
    served.ctl("delete", run["id"], check=True)
    assert served.json("purge", "-y")["left"] == []
    assert (outside / "precious").read_text() == "data"
    assert left(served) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_purge_tells_what_it_could_not_remove_and_removes_it_when_it_can(machine: Machine) -> None:
    powers = "-dac_override,-dac_read_search,-fowner,-chown"
    with (machine.folder / "rund.log").open("ab") as log:
        daemon = subprocess.Popen(
            ["setpriv", "--bounding-set", powers, "--inh-caps", powers, BIN / "rund"],
            env=machine.env,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    machine.daemons.append(daemon)
    wait_until(lambda: machine.ctl("status", "--no-start").returncode == 0)
    machine.script("folder.py", "import os\nos.makedirs('theirs/below')\nopen('mine', 'w').close()\n")
    run = machine.json("run", "-d", "folder.py")["run"]
    machine.ctl("wait", run["id"], check=True)
    os.chown(Path(run["dir"], "theirs"), 65534, 65534)
    machine.ctl("delete", run["id"], check=True)
    purged = machine.ctl("purge", "-y")
    assert purged.returncode == 1
    place = machine.home / "removed"
    assert f"Left, for it cannot be removed: {place}/{run['id']}" in purged.stderr
    assert "operation not permitted (theirs)" in purged.stderr
    assert machine.json("list", "--trash")["total"] == 0
    assert [path.name for path in place.glob("*/*")] == ["theirs"], "all else is removed"

    assert machine.ctl("purge", "-y").returncode == 1, "it is told again"
    os.chown(next(place.glob("*/theirs")), 0, 0)
    assert machine.ctl("purge", "-y").returncode == 0
    assert left(machine) == []
