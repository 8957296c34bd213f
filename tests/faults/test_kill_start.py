"""A daemon killed at every call that changes something while it makes a home, or brings a store up to date."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from runctl import launch

from rund.store.directories import Directories
from rund.store.examine import find_damage
from rund.store.migrate import migrations
from rund.store.store import prepare
from tests.faults.full_form import FULL
from tests.faults.kill_points import KillPoint, kill_points, require_strace, tracer
from tests.integration.stores import SCHEMAS, content, make_home
from tests.process.conftest import BIN, DEADLINE, Machine

POINTS = 10  # of each sweep, in the ordinary form
# What a daemon does with its home before it serves; by itself, for a kill to be counted on one thread.
PREPARE = """
import sys
from pathlib import Path
from rund.home import locked_home
from rund.store.directories import Directories
from rund.store.store import prepare
directories = Directories(Path(sys.argv[1]))
directories.make()
with locked_home(directories.lock):
    prepare(directories)
"""


def preparing(home: Path, launcher: list[str]) -> int:
    return run_python(launcher, "-c", PREPARE, str(home))


def restoring(home: Path, launcher: list[str]) -> int:
    return run_python(launcher, "-m", "rund.doctor", str(home), "restore", str(home.parent / "backup.db"))


def run_python(launcher: list[str], *args: str) -> int:
    command = [*launcher, sys.executable, "-B", *args]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=DEADLINE, check=False
    ).returncode


def points_of(home: Path, trace: Path, work: Callable[[Path, list[str]], int] = preparing) -> list[KillPoint]:
    """The points of ``work`` on ``home``, which is carried out: all, or some that lie evenly over them."""
    require_strace()
    assert work(home, tracer(trace)) == 0
    first = next(
        line for line in trace.read_text(errors="replace").splitlines() if str(home) in line and "exec" not in line
    )
    points = [*kill_points(trace, after=first), *unlinks_and_folders(trace, first)]
    assert len(points) > 20
    if FULL or len(points) <= POINTS:
        return points
    return [points[round(number * (len(points) - 1) / (POINTS - 1))] for number in range(POINTS)]


def unlinks_and_folders(trace: Path, first: str) -> list[KillPoint]:
    """The calls that matter here besides."""
    text = trace.read_text(errors="replace")
    found = []
    for name in ("mkdir", "unlink", "fdatasync", "ftruncate", "fchmod", "chmod"):
        before = sum(line.startswith(f"{name}(") for line in text.partition(first)[0].splitlines())
        total = sum(line.startswith(f"{name}(") for line in text.splitlines())
        found += [KillPoint(name, number) for number in range(before + 1, total + 1)]
    return found


def test_a_first_start_killed_anywhere_leaves_a_home(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    points = points_of(tmp_path / "traced", tmp_path / "calls")
    record_property("points", len(points))
    killed = 0
    for number, point in enumerate(points):
        directories = Directories(tmp_path / str(number))
        killed += preparing(directories.home, point.launcher()) != 0
        if directories.home.exists():
            launch._check_home(str(directories.home))
        assert find_damage(directories) is None, point
        prepare(directories)
        connection = sqlite3.connect(directories.database)
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations()), point
        connection.close()
    assert killed > len(points) / 2


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_migration_killed_anywhere_is_begun_again_or_was_whole(
    tmp_path: Path, schema: int, record_property: Callable[[str, object], None]
) -> None:
    make_home(tmp_path / "traced", schema)
    before = content(tmp_path / "traced" / "rund.db")
    points = points_of(tmp_path / "traced", tmp_path / "calls")
    record_property("points", len(points))
    killed = 0
    for number, point in enumerate(points):
        directories = Directories(tmp_path / str(number))
        make_home(directories.home, schema)
        killed += preparing(directories.home, point.launcher()) != 0
        assert find_damage(directories) is None, point
        assert content(directories.database) == before, point
        prepare(directories)
        assert content(directories.database) == before, point
        connection = sqlite3.connect(directories.database)
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations()), point
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], point
        connection.close()
    assert killed > len(points) / 2


def test_a_restoring_killed_anywhere_is_told_and_begun_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    make_home(tmp_path / "made", SCHEMAS[-1])
    (tmp_path / "made" / "rund.db").rename(tmp_path / "backup.db")
    backup = content(tmp_path / "backup.db")
    damaged = b"damaged" * 1000

    def damage(home: Path) -> Directories:
        home.mkdir(mode=0o700)
        prepare(Directories(home))
        (home / "rund.db").write_bytes(damaged)
        return Directories(home)

    damage(tmp_path / "traced")
    points = points_of(tmp_path / "traced", tmp_path / "calls", restoring)
    record_property("points", len(points))
    killed = 0
    for number, point in enumerate(points):
        directories = damage(tmp_path / str(number))
        killed += restoring(directories.home, point.launcher()) != 0
        if find_damage(directories) is not None:
            assert restoring(directories.home, []) == 0
        prepare(directories)
        assert content(directories.database) == backup, point
        kept = [path.read_bytes() for path in (directories.home / "damaged").glob("*/rund.db")]
        assert damaged in kept, f"{point}: what was damaged is kept"
        assert not list((directories.home / "damaged").glob(".*")), "nothing half made is left"
    assert killed > len(points) / 2


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_daemon_serves_what_an_earlier_version_left(machine: Machine, schema: int) -> None:
    make_home(machine.home, schema)
    machine.start()
    assert machine.json("list", "-n", "100")["total"] == 13
    batch = next(run for run in machine.json("list", "-n", "100")["runs"] if run["operation"] == "echo.py+")
    assert machine.json("show", batch["id"])["run"]["trials"]
    assert machine.json("restore", "e8d20178")["runs"]


def test_the_daemon_refuses_what_a_later_version_left_says_what_to_do_and_keeps_it(machine: Machine) -> None:
    directories = Directories(machine.home)
    directories.make()
    prepare(directories)
    connection = sqlite3.connect(directories.database)
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    before = directories.database.read_bytes()
    refused = subprocess.run(
        [BIN / "rund"], env=machine.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE
    )
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 78
    assert "was written by a later version of rund" in line
    assert line.endswith("update rund")
    asked = machine.ctl("list")
    assert (asked.returncode, "update rund" in asked.stderr) == (3, True), asked.stderr
    assert directories.database.read_bytes() == before
