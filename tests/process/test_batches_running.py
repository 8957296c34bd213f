"""Restarts of a batch that runs: refused, or it is extended without disturbing what runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.process.batch_client import GATED, BatchClient, plan, raised
from tests.process.conftest import wait_until


@pytest.fixture
def gated(batches: BatchClient) -> BatchClient:
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="2")
    batches.script("gated.py", GATED)
    return batches


def _running(gated: BatchClient) -> dict[str, Any]:
    """A batch of four, of which two run."""
    made = gated.run("gated.py", "x=[1,2,3,4]")
    wait_until(lambda: len(gated.ran()) == 2)
    return made


def _all(gated: BatchClient, batch: str) -> tuple[Any, ...]:
    trials = gated.call("list", batch=batch)
    return gated.call("show", run=batch), trials, [gated.call("show", run=run["id"]) for run in trials["runs"]]


@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"stage": True}], ids=["run", "dry", "stage"])
def test_without_needed_it_is_busy_and_nothing_is_changed(gated: BatchClient, options: dict[str, Any]) -> None:
    batch = _running(gated)["run"]["id"]
    before, last = _all(gated, batch), gated.last_event()
    message = raised(lambda: gated.restart(batch, "x=[1,2,3,4,5]", max_trials=3, priority=5, random_seed=1, **options))
    assert message.startswith(f"busy: batch {batch[:8]} has 4 running or pending trials")
    assert "--needed" in message
    assert _all(gated, batch) == before
    assert gated.last_event() == last
    gated.go()
    gated.wait(batch)
    assert gated.restart(batch, needed=True)["plan"]["skipped"] == [run["id"] for run in before[1]["runs"]], (
        "neither flags nor options of what was refused are remembered"
    )


def test_paused_it_is_busy_all_the_same(gated: BatchClient) -> None:
    gated.call("pause")
    made = gated.run("gated.py", "x=[1,2]")
    assert raised(lambda: gated.restart(made["run"]["id"])).startswith("busy: ")


def test_an_orphan_that_runs_and_would_be_taken_back_makes_it_busy(gated: BatchClient) -> None:
    made = gated.run("gated.py", "x=[1,2]")
    batch, (one, two) = made["run"]["id"], made["trials"]
    wait_until(lambda: len(gated.ran()) == 2)
    gated.restart(batch, "x=[3]", needed=True)
    gated.call("stop", runs=[one])
    gated.wait(one)
    gated.call("stop", runs=[batch])
    gated.wait(batch)
    message = raised(lambda: gated.restart(batch, "x=[2,3]"))
    assert message.startswith("busy: ")
    assert two[:8] in message
    back = gated.restart(batch, "x=[1,2,3]", needed=True)
    assert (back["plan"]["kept"], back["plan"]["taken_back"]) == ([two], [one, two])
    gated.go()
    gated.wait(batch)
    assert gated.statuses(batch) == ["completed"] * 3
    assert gated.attempts(batch)[:2] == [2, 1]


def test_with_needed_it_is_extended_and_what_runs_is_not_disturbed(gated: BatchClient) -> None:
    made = _running(gated)
    batch, ids = made["run"]["id"], made["trials"]
    folders = [Path(trial["dir"]) for trial in gated.trials(batch)[:2]]
    wait_until(lambda: all((folder / "pid").exists() and (folder / "pid").read_text() for folder in folders))
    pids = [(folder / "pid").read_text() for folder in folders]
    before = gated.trials(batch)
    more = gated.restart(batch, "x=[6,1,2,3,4,5]", needed=True)
    six, five = more["trials"][0], more["trials"][5]
    assert more["trials"] == [six, *ids, five]
    assert more["plan"] == plan(created=[six, five], kept=ids)
    assert gated.trials(batch)[1:5] == before
    assert gated.statuses(batch) == ["pending", "running", "running", "pending", "pending", "pending"]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    gated.go()
    gated.wait(batch)
    assert gated.statuses(batch) == ["completed"] * 6
    assert gated.attempts(batch) == [1] * 6
    assert [(folder / "pid").read_text() for folder in folders] == pids
    # Two at once run side by side: the order of their starts is the daemon's to tell.
    events = gated.call("events", after=0)["events"]
    started = [run for event in events if event["kind"] == "started" for run in event["runs"]]
    assert started == [*ids, six, five], "those that waited kept their places"


def test_narrowed_while_it_runs_pending_ones_go_and_running_ones_run_on(gated: BatchClient) -> None:
    made = _running(gated)
    batch, (one, two, three, four) = made["run"]["id"], made["trials"]
    less = gated.restart(batch, "x=[2,3]", needed=True)
    assert less["plan"] == plan(kept=[two, three], orphaned=[one], deleted=[four])
    assert gated.attrs(one)["status"] == "running"
    gated.go()
    gated.wait(batch, one)
    assert gated.statuses(batch) == ["completed"] * 2
    assert gated.attrs(one)["status"] == "completed"


def test_a_running_trial_restarted_by_itself_is_busy_or_left_as_it_is(gated: BatchClient) -> None:
    made = _running(gated)
    one = made["trials"][0]
    assert raised(lambda: gated.restart(one)).startswith("busy: ")
    assert raised(lambda: gated.restart(one, "x=9", needed=True)).startswith("busy: ")
    assert gated.restart(one, needed=True)["plan"] == plan(kept=[one])
    assert gated.ids(made["run"]["id"]) == made["trials"]
