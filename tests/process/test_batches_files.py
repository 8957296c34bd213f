"""Batches from files: one trial, or one grid, per row."""

from __future__ import annotations

import pytest

from tests.process.batch_client import NOTED, BatchClient, plan

FILES = {
    "rows.csv": 'x,y\n1,[1,2]\n"[3,4]",5\n6,\n'.replace("1,[1,2]", '1,"[1,2]"'),
    "rows.json": '[{"x": 1, "y": [1, 2]}, {"x": [3, 4], "y": 5}, {"x": 6}]',
    "rows.jsonl": '{"x": 1, "y": [1, 2]}\n{"x": [3, 4], "y": 5}\n{"x": 6}\n',
    "rows.yaml": "- {x: 1, y: [1, 2]}\n- x: [3, 4]\n  y: 5\n- x: 6\n",
}


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.script("noted.py", NOTED)
    for name, text in FILES.items():
        batches.script(name, text)
    return batches


@pytest.mark.parametrize("name", FILES)
def test_each_row_is_a_trial_or_a_grid(noted: BatchClient, name: str) -> None:
    made = noted.done(noted.run("noted.py", f"@{name}"))
    batch = made["run"]["id"]
    assert noted.values(batch, "x", "y") == [(1, 1), (1, 2), (3, 5), (4, 5), (6, 1)]
    assert noted.done(noted.restart(batch))["plan"] == plan(restarted=made["trials"])


def test_a_flag_beside_the_file_holds_in_every_row_until_it_is_lifted(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "@rows.json"))
    batch = made["run"]["id"]
    held = noted.done(noted.restart(batch, "y=5", needed=True))
    assert noted.values(batch, "x", "y") == [(1, 5), (3, 5), (4, 5), (6, 5)]
    assert set(held["trials"]) > set(made["trials"][2:4])
    remembered = noted.done(noted.restart(batch, "x=7", needed=True))
    assert noted.values(batch, "x", "y") == [(7, 5), (7, 5), (7, 5)]
    assert len(set(remembered["trials"])) == 3
    noted.done(noted.restart(batch, "x=", needed=True))
    assert noted.values(batch, "x", "y") == [(1, 5), (3, 5), (4, 5), (6, 5)]
    lifted = noted.done(noted.restart(batch, "y=", needed=True))
    assert (lifted["trials"], lifted["plan"]["created"]) == (made["trials"], [])


def test_a_flag_given_with_the_file_at_first_holds_too(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "@rows.json", "y=[8,9]", "x=2"))
    batch = made["run"]["id"]
    assert noted.values(batch, "x", "y") == [(2, 8), (2, 9)] * 3
    assert noted.done(noted.restart(batch, needed=True))["plan"] == plan(skipped=made["trials"])


def test_run_needed_knows_the_batch_by_its_rows_and_not_by_the_name_of_its_file(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "@rows.json"))
    noted.script('"where":.json', FILES["rows.json"])
    assert noted.done(noted.run("noted.py", '@./"where":.json', needed=True))["plan"] == plan(skipped=made["trials"])
    noted.script("rows.json", FILES["rows.json"].replace("6", "6.0"))
    other = noted.run("noted.py", "@rows.json", needed=True, stage=True)
    assert len(other["plan"]["created"]) == len(made["trials"])


def test_another_file_replaces_the_rows(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "@rows.csv"))
    batch = made["run"]["id"]
    noted.script("more.csv", "x,y\n3,5\n9,9\n3,5\n")
    more = noted.done(noted.restart(batch, "@more.csv", needed=True))
    assert noted.values(batch, "x", "y") == [(3, 5), (9, 9), (3, 5)]
    assert more["plan"]["skipped"] == [made["trials"][2]]
    assert len(more["plan"]["orphaned"]) == 4
    (noted.machine.project / "more.csv").unlink()
    assert noted.done(noted.restart(batch))["trials"] == more["trials"], "the batch keeps its rows"


def test_rows_may_be_sent_and_are_sampled(noted: BatchClient) -> None:
    rows = [{"x": number} for number in range(30)]
    made = noted.run("noted.py", rows=rows, max_trials=5, stage=True)
    batch = made["run"]["id"]
    kept = noted.values(batch, "x")
    assert kept == sorted(kept)
    more = noted.restart(batch, max_trials=8, stage=True)
    assert [each for each in more["trials"] if each in made["trials"]] == made["trials"]
    every = noted.restart(batch, max_trials="all", stage=True)
    assert len(every["trials"]) == 30


def test_a_batch_of_flags_becomes_one_of_a_file(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]", "y=1"))
    batch = made["run"]["id"]
    noted.script("more.csv", "x,y\n5,7\n6,7\n")
    given = noted.restart(batch, "@more.csv", stage=True)
    assert noted.values(batch, "x", "y") == [(1, 1), (2, 1)] * 2, "x and y were given: they hold in every row"
    noted.restart(batch, "x=", "y=", stage=True)
    assert noted.values(batch, "x", "y") == [(5, 7), (6, 7)]
    assert set(given["trials"]) >= set(made["trials"])
