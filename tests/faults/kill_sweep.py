"""Carries one scenario through kills again and again, and compares with what it comes to undisturbed."""

from __future__ import annotations

import logging
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.kill_checks import Outcome, violations
from tests.faults.kill_drive import Drive
from tests.faults.kill_scenarios import Killing
from tests.faults.kill_world import PATIENCE, ROOT, Kill, World

_log = logging.getLogger(__name__)


@contextmanager
def a_world(package: Path = ROOT, patience_after_a_kill: float = PATIENCE) -> Iterator[World]:
    """A world as `World` has it, in a folder of its own."""
    # Not in pytest's folder: a socket's path may not be long.
    folder = Path(tempfile.mkdtemp(prefix="rund-kills-"))
    with World(folder, package=package, patience_after_a_kill=patience_after_a_kill) as world:
        yield world
    shutil.rmtree(folder)


@pytest.fixture(name="world")
def world_fixture() -> Iterator[World]:
    with a_world() as world:
        yield world


class Sweep:
    """One scenario, what it comes to undisturbed, and the changes that its first daemon makes."""

    def __init__(self, world: World, killing: Killing) -> None:
        self.world = world
        self.killing = killing
        self._template = None if killing.prepare is None else self._prepare(killing)
        self.expected, self.calls = self.record()
        self.points = 0
        self.killed = 0
        self.wrong: list[str] = []  # one text for each point at which something is wrong

    def _prepare(self, killing: Killing) -> Path:
        assert killing.prepare is not None
        template = self.world.folder / "template"
        self.world.begin()
        drive = Drive(self.world)
        daemon = drive.through(killing.prepare)
        drive.hang_up()
        daemon.stop()
        self.world.keep(template)
        return template

    def record(self, *kills: Kill) -> tuple[Outcome, list[str]]:
        """What the scenario comes to after these kills, and the changes that the next daemon makes."""
        self.world.begin(self._template)
        drive = Drive(self.world)
        last = drive.through(self.killing.scenario, kills, watched=True)
        outcome, wrong = violations(drive, last)
        assert wrong == [], f"{kills}: {wrong}"
        calls = drive.daemons[len(kills)].changes()
        since = None if kills else self.killing.since
        return outcome, calls if since is None else calls[calls.index(since) :]

    def survive(self, *kills: Kill, call: str) -> bool:
        """Carry the scenario through these kills, and note what is wrong; ``call`` is where the last one comes.

        Answers whether the first kill came: a daemon may make fewer changes than the one that was recorded.
        """
        self.points += 1
        self.world.begin(self._template)
        drive = Drive(self.world)
        try:
            last = drive.through(self.killing.scenario, kills)
            outcome, wrong = violations(drive, last)
            for kind, found, expected in zip(Outcome._fields, outcome, self.expected, strict=True):
                if found != expected:
                    wrong.append(f"{kind}: {found} instead of {expected}")
        except Exception:  # noqa: BLE001 - it is told as what is wrong at this point
            wrong = [traceback.format_exc()]
        finally:
            drive.hang_up()
        self.killed += drive.killed()
        if wrong:
            self.wrong.append(f"{kills} ({call}): {wrong}\n{self.world.log.read_text()}")
            _log.warning("%s", self.wrong[-1])  # now, for a whole sweep takes long
        return bool(drive.daemons) and drive.daemons[0].was_killed()

    def conclude(self, record: Callable[[str, object], None]) -> None:
        """Tell the counts, and fail if anything was wrong, or the kills did not come where they should."""
        record("points", self.points)
        record("violations", len(self.wrong))
        print(f"{self.points} points, {self.killed} daemons killed, {len(self.wrong)} violations")
        assert self.wrong == []
        # The last changes of a recording may not come to pass each time.
        assert self.killed >= 0.8 * self.points, "too few daemons were killed"
