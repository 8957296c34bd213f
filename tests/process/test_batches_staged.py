"""Staged batches, and the start of what is staged."""

from __future__ import annotations

import pytest

from tests.process.batch_client import NOTED, BatchClient, plan, raised


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.script("noted.py", NOTED)
    return batches


@pytest.mark.parametrize("needed", [False, True])
def test_one_started_by_itself_runs_again_with_the_batch_unless_it_is_not_needed(
    noted: BatchClient, needed: bool
) -> None:
    made = noted.run("noted.py", "x=[1,2,3]", stage=True)
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    assert made["run"]["status"] == "staged"
    assert noted.statuses(batch) == ["staged"] * 3
    noted.call("start", runs=[two])
    noted.wait(two)
    assert noted.statuses(batch) == ["staged", "completed", "staged"]
    again = noted.done(noted.restart(batch, needed=needed))
    assert again["plan"] == (
        plan(restarted=[one, three], skipped=[two]) if needed else plan(restarted=[one, two, three])
    )
    assert noted.statuses(batch) == ["completed"] * 3
    assert sorted(noted.ran()) == (["1 1", "2 1", "3 1"] if needed else ["1 1", "2 1", "2 1", "3 1"])


def test_start_queues_the_staged_trials_of_a_batch_and_no_others(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=[1,2,3]", stage=True)
    batch = made["run"]["id"]
    noted.call("start", runs=made["trials"][:1])
    noted.wait(*made["trials"])
    (started,) = noted.call("start", runs=[batch])["runs"]
    assert started["status"] == "running"
    noted.wait(batch)
    assert noted.attempts(batch) == [1, 1, 1]
    refused = raised(lambda: noted.call("start", runs=[batch]))
    assert refused.startswith("invalid: ")
    assert "no staged trials" in refused


def test_a_restart_to_be_staged_starts_none_and_leaves_the_kept_as_they_are(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    staged = noted.restart(batch, "x=[2,3]", stage=True)
    assert staged["plan"] == plan(created=staged["trials"][1:], kept=made["trials"][1:], orphaned=made["trials"][:1])
    assert noted.statuses(batch) == ["completed", "staged"]
    assert noted.attrs(batch)["status"] == "staged"
    dropped = noted.restart(batch, "x=[2]", stage=True)
    assert dropped["plan"] == plan(kept=made["trials"][1:], deleted=staged["trials"][1:])
    assert raised(lambda: noted.attrs(staged["trials"][1])).startswith("not-found: ")
    assert noted.attrs(batch)["status"] == "completed"
    assert len(noted.ran()) == 2


def test_staged_trials_start_with_the_seed_and_options_that_the_batch_has_then(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=[1,2]", stage=True, random_seed=1)
    batch = made["run"]["id"]
    noted.restart(batch, stage=True, random_seed=7, priority=4)
    noted.call("start", runs=[batch])
    noted.wait(batch)
    assert [trial["random_seed"] for trial in noted.trials(batch)] == [7, 7]
    assert [noted.call("show", run=trial)["priority"] for trial in made["trials"]] == [4, 4]


def test_two_thousand_staged_trials_are_made_listed_and_restarted(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=range[1:50]", "y=range[1:40]", stage=True)
    batch = made["run"]["id"]
    assert len(made["trials"]) == len(set(made["trials"])) == 2000
    listed = noted.call("list", batch=batch, limit=10_000)
    assert [trial["id"] for trial in listed["runs"]] == made["trials"]
    assert (listed["total"], listed["generation"], listed["next"]) == (2000, 1, None)
    assert noted.values(batch, "x", "y") == [(x, y) for x in range(1, 51) for y in range(1, 41)]
    paged, after = [], None
    while True:
        page = noted.call("list", batch=batch, limit=300, after=after)
        paged += [trial["id"] for trial in page["runs"]]
        after = page["next"]
        if after is None:
            break
    assert paged == made["trials"]
    more = noted.restart(batch, "y=range[1:41]", stage=True)
    assert (len(more["plan"]["created"]), len(more["plan"]["kept"])) == (50, 2000)


def test_of_more_trials_than_an_answer_carries_their_number_is_told_and_their_ids_are_paged(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=range[1:10001]", stage=True)
    batch = made["run"]["id"]
    assert made["truncated"]
    assert made["trials"] == noted.call("show", run=batch)["run"]["trials"] == 10_001
    ids = noted.call("trials", batch=batch)["trials"] + noted.call("trials", batch=batch, after=10_000)["trials"]
    assert len(ids) == len(set(ids)) == 10_001
    beyond = noted.call("trials", batch=batch, after=2**63 - 1)
    assert (beyond["trials"], beyond["total"], beyond["next"]) == ([], 10_001, None)
    fewer = noted.restart(batch, "x=range[1:10000]", stage=True)
    assert not fewer["truncated"]
    assert fewer["trials"] == noted.call("show", run=batch)["run"]["trials"] == ids[:-1]
