"""Restarts of batches at rest: what is matched, kept, made and remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from runctl.client import Client

from rund.model.values import trial_key
from tests.process.batch_client import ECHO, NOTED, BatchClient, plan, raised


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.script("noted.py", NOTED)
    batches.script("echo.py", ECHO)
    return batches


def test_after_success_the_same_trials_run_again_in_place(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]", "y=[1,2]"))
    batch = made["run"]["id"]
    before = noted.trials(batch)
    again = noted.done(noted.restart(batch))
    after = noted.trials(batch)
    assert again["plan"] == plan(restarted=made["trials"])
    assert [run["attempts"] for run in after] == [2] * 4
    assert [(run["id"], run["created"], run["dir"]) for run in after] == [
        (run["id"], run["created"], run["dir"]) for run in before
    ]
    assert sorted(noted.ran()) == sorted(["1 1", "1 2", "2 1", "2 2"] * 2)
    assert noted.call("status")["counts"]["completed"] == 5, "four trials and their batch"


def test_flags_may_shrink_grow_and_change_altogether_and_are_remembered(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2,3]"))
    batch = made["run"]["id"]
    one, two, three = made["trials"]
    subset = noted.done(noted.restart(batch, "x=[3,2]"))
    assert (subset["trials"], subset["plan"]) == ([three, two], plan(restarted=[three, two], orphaned=[one]))
    assert noted.done(noted.restart(batch))["trials"] == [three, two]
    superset = noted.done(noted.restart(batch, "x=[1,2,3,4]", needed=True))
    four = superset["trials"][3]
    assert superset["trials"] == [one, two, three, four]
    assert superset["plan"] == plan(created=[four], skipped=[one, two, three], taken_back=[one])
    disjoint = noted.done(noted.restart(batch, "x=[7,8]", needed=True))
    assert disjoint["plan"] == plan(created=disjoint["trials"], orphaned=[one, two, three, four])
    assert noted.values(batch, "x") == [(7,), (8,)]
    assert noted.done(noted.restart(batch, needed=True))["plan"] == plan(skipped=disjoint["trials"])
    orphans = noted.call("list", batch=batch, orphans=True)
    assert {run["id"] for run in orphans["runs"]} == {one, two, three, four}


def test_options_given_are_remembered_too(noted: BatchClient) -> None:
    noted.machine.kill()
    noted.machine.start(RUND_SLOTS="2")
    made = noted.done(noted.run("noted.py", "x=[1,2,3]"))
    batch = made["run"]["id"]
    seed = (made["run"]["random_seed"] + 1) % 2**32
    given = noted.done(noted.restart(batch, max_trials=2, random_seed=seed, slots=2, priority=3, jobs=1))
    assert len(given["trials"]) == 2
    again = noted.done(noted.restart(batch))
    assert (again["trials"], again["run"]["max_trials"]) == (given["trials"], 2)
    assert again["run"]["random_seed"] == seed
    shown = noted.call("show", run=batch)
    assert (shown["slots"], shown["priority"]) == (2, 3)
    assert {trial["random_seed"] for trial in noted.trials(batch)} == {seed}
    assert len(noted.done(noted.restart(batch, max_trials="all"))["trials"]) == 3


def test_equal_flags_twice_are_two_trials_and_stay_two(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,1]"))
    batch = made["run"]["id"]
    assert len(set(made["trials"])) == 2
    assert noted.done(noted.restart(batch))["trials"] == made["trials"]
    once = noted.done(noted.restart(batch, "x=[1]"))
    assert len(once["trials"]) == 1
    thrice = noted.done(noted.restart(batch, "x=[1,1,1]", needed=True))
    assert thrice["trials"][:2] == made["trials"]
    assert len(set(thrice["trials"])) == 3


def test_values_match_by_type_and_value(noted: BatchClient) -> None:
    noted.script("any.sh", "#!/bin/sh\necho $FLAG_V\n").chmod(0o755)
    values: list[Any] = [1, 1.0, True, "1", 0.0, -0.0, float("nan"), None]
    made = noted.done(noted.run("./any.sh", flags={"v": values}))
    batch = made["run"]["id"]
    assert len(set(made["trials"])) == len(values)
    shown = [trial["flags"] for trial in noted.trials(batch)]
    assert [trial_key(flags) for flags in shown] == [trial_key({"v": value}) for value in values]
    skipped = noted.restart(batch, flags={"v": list(reversed(values))}, needed=True)
    assert skipped["trials"] == list(reversed(made["trials"]))
    assert skipped["plan"] == plan(skipped=skipped["trials"])
    for number, value in enumerate(values):
        only = noted.restart(batch, flags={"v": [value]}, needed=True)
        assert only["trials"] == [made["trials"][number]], f"{value!r} is matched by itself alone"


def test_a_trial_restarted_with_its_own_flags_stays_and_with_others_leaves(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch, (one, two) = made["run"]["id"], made["trials"]
    noted.done(noted.restart(one))
    noted.done(noted.restart(one, "x=1", random_seed=5))
    assert (noted.ids(batch), noted.attrs(batch)["generation"]) == ([one, two], 1)
    noted.done(noted.restart(one, "x=9"))
    left = noted.attrs(one)
    assert (left["batch"], left["made_by"], left["attempts"]) == (None, batch, 4)
    assert (noted.ids(batch), noted.attrs(batch)["generation"]) == ([two], 2)
    back = noted.done(noted.restart(batch, "x=[2,9]", needed=True))
    assert back["plan"] == plan(skipped=[two, one], taken_back=[one])


def test_a_list_for_a_single_trial_is_refused(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    for value in ("x=[3,4]", "x=[0.1:0.5]"):
        message = raised(lambda value=value: noted.restart(made["trials"][0], value))  # type: ignore[misc] # bound now
        assert message.startswith("invalid: x: ")
        assert "make a batch with runctl run" in message
    assert noted.ids(made["run"]["id"]) == made["trials"]


def test_the_same_request_again_gives_the_first_reply_and_does_nothing(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]", request_id="make"))
    batch = made["run"]["id"]
    assert noted.run("noted.py", "x=[1,2]", request_id="make") == made
    first = noted.done(noted.restart(batch, "x=[1,2,3]", request_id="again"))
    noted.done(noted.restart(batch, "x=[5]"))
    noted.machine.kill()
    noted.machine.start()
    assert noted.restart(batch, "x=[1,2,3]", request_id="again") == first
    assert noted.values(batch, "x") == [(5,)]
    assert len(noted.ran()) == 2 + 3 + 1
    refused = raised(lambda: noted.restart(batch, "x=[1,2]", request_id="again"))
    assert refused.startswith("conflict: ")
    assert noted.attrs(batch)["generation"] == 3


def test_run_needed_restarts_the_newest_equal_batch_with_needed(noted: BatchClient) -> None:
    older = noted.done(noted.run("noted.py", "x=[1,2]", random_seed=1))
    newer = noted.done(noted.run("noted.py", "x=[1,2]", random_seed=1))
    noted.call("delete", runs=newer["trials"][:1])
    again = noted.done(noted.run("noted.py", "x=[1,2]", needed=True))
    assert again["run"]["id"] == newer["run"]["id"]
    assert again["plan"] == plan(created=again["trials"][:1], skipped=newer["trials"][1:])
    for args, params in ((["x=[1,2.0]"], {}), (["x=[1,2]"], {"random_seed": 2}), (["x=[1,2]"], {"max_trials": 2})):
        other = noted.done(noted.run("noted.py", *args, needed=True, **params))
        assert other["run"]["id"] not in (older["run"]["id"], newer["run"]["id"])
        assert len(other["plan"]["created"]) == 2


def test_run_needed_gives_the_batch_that_it_restarts_the_label_and_tags(noted: BatchClient) -> None:
    batch = noted.done(noted.run("noted.py", "x=[1,2]", label="old", tags=["a"]))["run"]["id"]
    noted.run("noted.py", "x=[1,2]", needed=True, label="other", dry_run=True)
    assert noted.attrs(batch)["label"] == "old"
    again = noted.done(noted.run("noted.py", "x=[1,2]", needed=True, label="new", tags=["b"]))
    assert again["run"]["id"] == batch
    assert again["run"]["label"] == "new"
    assert (noted.attrs(batch)["label"], noted.attrs(batch)["tags"]) == ("new", ["a", "b"])


def test_several_clients_that_need_the_same_at_once_get_one_batch(noted: BatchClient) -> None:
    def run_needed(_: int) -> str:
        with Client(noted.machine.env, start=False) as client:
            asked = {"env": noted.machine.env, "cwd": str(noted.machine.project), "needed": True, "stage": True}
            return str(client.call("run", operation="noted.py", args=["x=[1,2,3]"], **asked)["run"]["id"])

    with ThreadPoolExecutor(6) as clients:
        batches = set(clients.map(run_needed, range(6)))
    assert len(batches) == 1
    assert noted.attrs(*batches)["trial_count"] == 3


def test_run_needed_leaves_the_options_that_it_does_not_name(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]", priority=5, jobs=1, retries=2, fail_fast=True))
    batch = made["run"]["id"]
    before = noted.call("show", run=batch)
    again = noted.done(noted.run("noted.py", "x=[1,2]", needed=True))
    after = noted.call("show", run=batch)
    assert again["run"]["id"] == batch
    assert (before["priority"], before["batch_options"]["jobs"]) == (5, 1)
    assert [after[name] for name in ("priority", "slots", "batch_options")] == [
        before[name] for name in ("priority", "slots", "batch_options")
    ]


@pytest.mark.parametrize("change", [{"args": ["x=1"]}, {"rows": [{"x": 1}]}])
def test_a_batch_that_remembers_random_search_says_how_to_leave_it(noted: BatchClient, change: dict[str, Any]) -> None:
    made = noted.run("noted.py", "x=[1,2]", optimizer="random", max_trials=3, stage=True)
    batch = made["run"]["id"]
    refused = raised(lambda: noted.call("restart", run=batch, **change))
    assert "take --optimizer grid" in str(refused)
    grid = noted.call("restart", run=batch, stage=True, optimizer="grid", **change)
    assert (len(grid["trials"]), grid["run"]["optimizer"]) == (1 if "args" in change else 2, "grid")


def test_a_batch_that_needs_nothing_shows_its_times_as_they_were(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    before = noted.attrs(made["run"]["id"])
    noted.restart(made["run"]["id"], needed=True)
    after = noted.attrs(made["run"]["id"])
    assert (after["status"], after["started"], after["stopped"]) == (
        "completed",
        before["started"],
        before["stopped"],
    )


def test_a_dry_run_tells_the_plan_and_changes_nothing(noted: BatchClient) -> None:
    planned = noted.run("noted.py", "x=[1,2]", dry_run=True)
    assert planned["run"] is None
    assert planned["plan"]["created"] == [{"x": 1, "y": 1}, {"x": 2, "y": 1}]
    assert noted.call("list")["runs"] == []
    made = noted.done(noted.run("noted.py", "x=[1,2,3]"))
    batch = made["run"]["id"]
    one, two, three = made["trials"]
    before, last = (noted.call("show", run=batch), noted.trials(batch)), noted.last_event()
    dry = noted.restart(batch, "x=[2,3,4]", needed=True, dry_run=True)
    assert dry["plan"] == plan(created=[{"x": 4, "y": 1}], skipped=[two, three], orphaned=[one])
    assert (dry["generation"], dry["trials"]) == (1, [one, two, three])
    assert (noted.call("show", run=batch), noted.trials(batch)) == before
    assert noted.last_event() == last
    assert noted.restart(batch, dry_run=True)["plan"] == plan(restarted=[one, two, three])


def test_a_dry_run_keeps_neither_a_source_nor_an_environment(noted: BatchClient) -> None:
    noted.run("noted.py", "x=[1,2]", dry_run=True)
    assert list((noted.machine.home / "sources").iterdir()) == []


def test_among_equal_trials_completed_ones_are_kept_first(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=[1,1,1]", stage=True)
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    noted.call("start", runs=[two])
    noted.wait(two)
    less = noted.done(noted.restart(batch, "x=[1,1]", needed=True))
    assert less["trials"] == [two, one]
    assert less["plan"] == plan(skipped=[two], restarted=[one], deleted=[three])
