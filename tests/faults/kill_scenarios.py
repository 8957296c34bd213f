"""What daemons are killed at: each scenario begins with a home as `prepare` leaves it, and ends with all runs ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.faults.kill_drive import Drive, Scenario, ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Killing:
    """A scenario, and what its home holds before, if anything."""

    scenario: Scenario
    prepare: Scenario | None = None
    since: str | None = "listen"  # the call from which on the daemon is killed; None: from its start


def two_trials(drive: Drive) -> None:
    drive.settled(drive.run("batch", "x=[1,2]")["run"]["id"])


def make(drive: Drive) -> None:
    """A batch is made and run."""
    two_trials(drive)


def reconcile(drive: Drive) -> None:
    """One trial is set free, one kept, one made; then all is skipped."""
    batch = drive.run("batch", "x=[1,2]")["run"]["id"]
    drive.change("narrow", "restart", run=batch, args=["x=[2,3]"])
    drive.settled(batch)
    drive.change("again", "restart", run=batch, needed=True)
    drive.settled(batch)


def delete(drive: Drive) -> None:
    """A trial is deleted and made anew; then all goes to the trash, one comes back, and the rest is erased."""
    made = drive.run("batch", "x=[1,2]")
    batch, first = made["run"]["id"], made["trials"][0]
    drive.change("delete", "delete", runs=[first])
    drive.change("again", "restart", run=batch, needed=True)
    drive.settled(batch)
    drive.change("all", "delete", runs=[batch], with_trials=True)
    drive.change("back", "restore", runs=[made["trials"][1]])
    drive.change("purge", "purge")


def stop(drive: Drive) -> None:
    """A run is stopped, and started again with other flags."""
    run = drive.run("run", "x=8")["run"]["id"]
    drive.until_ran(run)
    drive.change("stop", "stop", runs=[run])
    drive.settled(run)
    drive.change("again", "restart", run=run, args=["x=1"], clean=True)
    drive.settled(run)


def fail(drive: Drive) -> None:
    """A trial fails, is started again by itself, and fails again; another waits for its batch and is given up."""
    batch = drive.run("batch", "x=[9,1]", retries=1, fail_fast=True, jobs=1)["run"]["id"]
    drive.settled(batch)


def stage(drive: Drive) -> None:
    """Runs are staged, labelled, started while all is paused, withdrawn, and run."""
    staged = drive.run("staged", "x=1", stage=True)["run"]["id"]
    drive.change("label", "set", runs=[staged], label="best", add_tags=["paper"])
    drive.change("pause", "pause")
    drive.change("start", "start", runs=[staged])
    waiting = drive.run("waiting", "x=2")["run"]["id"]
    drive.change("withdraw", "stop", runs=[waiting])
    drive.change("resume", "resume")
    drive.settled(staged, waiting)


def end_alone(drive: Drive) -> None:
    """Two trials are alive when the daemon goes; one ends before the next daemon comes, one is stopped."""
    made = drive.run("batch", "x=[7,8]")
    for run in ids(made):
        drive.until_ran(run)
    (drive.world.project / "go").touch()
    drive.change("stop", "stop", runs=[made["trials"][1]])
    drive.settled(made["run"]["id"])


def leave(drive: Drive) -> None:
    """The daemon is told to end with its runs, two of which live, and one waits."""
    runs = [drive.run(name, flag)["run"]["id"] for name, flag in (("one", "x=8"), ("two", "x=8"), ("three", "x=1"))]
    for run in runs[:2]:
        drive.until_ran(run)
    drive.leave()
    drive.settled(*runs)


def first_start(drive: Drive) -> None:
    """A home is made."""
    drive.ask("status")


SCENARIOS: Final = {
    "first start": Killing(scenario=first_start, since=None),
    "make": Killing(scenario=make),
    "reconcile": Killing(scenario=reconcile, prepare=two_trials),
    "delete": Killing(scenario=delete, prepare=two_trials),
    "stop": Killing(scenario=stop),
    "fail": Killing(scenario=fail),
    "stage": Killing(scenario=stage),
    "end alone": Killing(scenario=end_alone),
    "leave": Killing(scenario=leave),
}
