"""Deleted trials and deleted batches."""

from __future__ import annotations

import pytest

from tests.process.batch_client import GATED, NOTED, BatchClient, plan, raised
from tests.process.conftest import wait_until


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="2")
    batches.script("noted.py", NOTED)
    batches.script("gated.py", GATED)
    return batches


def test_a_deleted_trial_leaves_at_once_and_restored_comes_back_as_an_orphan(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2,3]"))
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    last = noted.last_event()
    noted.call("delete", runs=[two, one])
    assert noted.ids(batch) == [three]
    assert noted.attrs(batch)["generation"] == 2, "one generation for all that leave at once"
    assert [event["generation"] for event in noted.events(last) if event["kind"] == "trials"] == [2]
    noted.call("restore", runs=[one])
    assert (noted.ids(batch), noted.attrs(batch)["generation"]) == ([three], 2)
    assert (noted.attrs(one)["batch"], noted.attrs(one)["made_by"]) == (None, batch)
    assert [run["id"] for run in noted.call("list", batch=batch, orphans=True)["runs"]] == [one]
    again = noted.done(noted.restart(batch, needed=True))
    new = again["trials"][1]
    assert again["trials"] == [one, new, three]
    assert again["plan"] == plan(created=[new], skipped=[one, three], taken_back=[one])
    assert new != two
    noted.call("restore", runs=[two])
    assert noted.attrs(two)["batch"] is None
    assert noted.done(noted.restart(batch, needed=True))["trials"] == [one, new, three], "trials come before orphans"


def test_a_batch_whose_trials_are_all_deleted_lists_none(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    noted.call("delete", runs=made["trials"])
    asked = noted.call("trials", batch=batch)
    assert (asked["generation"], asked["trials"], asked["total"], asked["next"]) == (2, [], 0, None)
    assert noted.ids(batch) == []


def test_among_equal_orphans_completed_ones_come_back_first_then_older_ones(noted: BatchClient) -> None:
    noted.script(
        "fails.py",
        "import os\nx = 1\nif not os.path.exists(os.environ['RUND_HOME'] + '/../go'):\n    raise SystemExit(1)\n",
    )
    made = noted.done(noted.run("fails.py", "x=[1,1,1]"))
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    noted.go()
    noted.restart(two)
    noted.wait(two)
    noted.done(noted.restart(batch, "x=[5]"))
    back = noted.done(noted.restart(batch, "x=[1,1]", needed=True))
    assert back["trials"] == [two, one]
    assert back["plan"]["taken_back"] == [two, one]
    assert noted.attrs(three)["batch"] is None


def test_a_trial_that_runs_is_busy_unless_it_is_stopped_first(noted: BatchClient) -> None:
    made = noted.run("gated.py", "x=[1,2]")
    batch, (one, two) = made["run"]["id"], made["trials"]
    wait_until(lambda: len(noted.ran()) == 2)
    before = noted.trials(batch)
    for runs in ([one], [batch]):
        assert raised(lambda runs=runs: noted.call("delete", runs=runs)).startswith("busy: ")  # type: ignore[misc] # bound now
    assert noted.trials(batch) == before
    noted.call("delete", runs=[one], stop=True)
    assert noted.ids(batch) == [two]
    noted.go()
    noted.wait(batch)


def test_a_deleted_batch_sets_its_trials_free_and_erases_those_never_started(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=[1,2,3]", stage=True)
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    noted.call("start", runs=[one])
    noted.wait(one)
    noted.call("delete", runs=[batch])
    assert [run["id"] for run in noted.call("list")["runs"]] == [one]
    assert (noted.attrs(one)["batch"], noted.attrs(one)["status"]) == (None, "completed")
    for gone in (two, three):
        assert raised(lambda gone=gone: noted.attrs(gone)).startswith("not-found: ")  # type: ignore[misc] # bound now
    assert [run["id"] for run in noted.call("list", trash=True)["runs"]] == [batch]
    assert raised(lambda: noted.restart(batch)).startswith("not-found: ")
    assert raised(lambda: noted.call("list", batch=batch)).startswith("not-found: ")
    noted.call("restore", runs=[batch])
    again = noted.done(noted.restart(batch, needed=True))
    assert again["plan"]["taken_back"] == again["plan"]["skipped"] == [one]
    assert len(again["plan"]["created"]) == 2


def test_a_batch_deleted_with_its_trials_goes_and_comes_back_whole(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2,3]"))
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    noted.done(noted.restart(batch, "x=[2,3]"))
    gone = noted.call("delete", runs=[batch], with_trials=True)["runs"]
    assert gone == [batch, two, three]
    assert [run["id"] for run in noted.call("list")["runs"]] == [one], "an orphan is none of its current trials"
    noted.call("restore", runs=[batch, two, three])
    assert noted.ids(batch) == []
    again = noted.done(noted.restart(batch, needed=True))
    assert (again["trials"], again["plan"]["created"]) == ([two, three], [])


def test_a_batch_that_runs_is_stopped_waited_for_and_deleted_with_its_trials(noted: BatchClient) -> None:
    made = noted.run("gated.py", "x=[1,2,3]", jobs=1)
    wait_until(lambda: len(noted.ran()) == 1)
    noted.call("delete", runs=[made["run"]["id"]], with_trials=True, stop=True)
    assert noted.call("list")["runs"] == []
    assert noted.call("list", trash=True)["total"] >= 2
    noted.call("purge")
    assert noted.call("list", trash=True)["runs"] == []


def test_a_purged_batch_leaves_its_trials_as_runs_of_their_own(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch, (one, _) = made["run"]["id"], made["trials"]
    noted.call("delete", runs=[batch])
    noted.call("purge")
    assert {run["id"] for run in noted.call("list")["runs"]} == set(made["trials"])
    assert noted.attrs(one)["made_by"] is None
    noted.restart(one)
    noted.wait(one)
    assert noted.attrs(one)["status"] == "completed"
