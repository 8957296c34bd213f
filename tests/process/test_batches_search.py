"""Sampled grids and random search: the same seed gives the same trials, and extensions keep what was drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.batch_client import NOTED, BatchClient, plan


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.script("noted.py", NOTED)
    return batches


RANDOM = ("x=[0.1:0.9]", "y=uniform[1:100]")
GRID = ("x=range[1:10]", "y=range[1:10]")


@pytest.mark.parametrize("flags", [RANDOM, GRID], ids=["random", "grid"])
def test_without_flags_the_same_trials_run_again_and_more_keep_the_old_ones(
    noted: BatchClient, flags: tuple[str, ...]
) -> None:
    made = noted.done(noted.run("noted.py", *flags, max_trials=6))
    batch = made["run"]["id"]
    values = noted.values(batch, "x", "y")
    again = noted.done(noted.restart(batch))
    assert (again["trials"], again["plan"]) == (made["trials"], plan(restarted=made["trials"]))
    assert noted.values(batch, "x", "y") == values
    more = noted.done(noted.restart(batch, max_trials=9, needed=True))
    assert more["plan"]["orphaned"] == []
    assert more["plan"]["skipped"] == made["trials"]
    assert len(more["plan"]["created"]) == 3
    assert [each for each in more["trials"] if each in made["trials"]] == made["trials"]
    fewer = noted.done(noted.restart(batch, max_trials=6, needed=True))
    assert fewer["trials"] == made["trials"]


@pytest.mark.parametrize("flags", [RANDOM, GRID], ids=["random", "grid"])
def test_another_seed_makes_other_trials_and_sets_the_old_ones_free(noted: BatchClient, flags: tuple[str, ...]) -> None:
    made = noted.done(noted.run("noted.py", *flags, max_trials=5, random_seed=1))
    batch = made["run"]["id"]
    other = noted.done(noted.restart(batch, random_seed=2))
    kept = set(other["trials"]) & set(made["trials"])
    assert len(kept) <= 2
    assert set(other["plan"]["orphaned"]) == set(made["trials"]) - kept
    assert {trial["random_seed"] for trial in noted.trials(batch)} == {2}
    first = noted.done(noted.restart(batch, random_seed=1, needed=True))
    assert (first["trials"], first["plan"]["created"]) == (made["trials"], [])


def test_a_value_more_in_a_list_keeps_most_trials(noted: BatchClient) -> None:
    kept = total = 0
    for seed in range(4):
        for flags, options in ((("x=[1,2,3,4,5]", "y=range[1:5]"), {}), (("x=[1,2,3,4,5]",), {"optimizer": "random"})):
            made = noted.run("noted.py", *flags, max_trials=12, random_seed=seed, stage=True, **options)
            more = noted.restart(made["run"]["id"], "x=[1,2,3,4,5,6]", stage=True)
            kept += len(set(more["trials"]) & set(made["trials"]))
            total += len(made["trials"])
    assert kept > total * 0.65, "5 in 6 on average"


def test_a_large_grid_is_sampled_at_once_and_in_little_memory(noted: BatchClient) -> None:
    noted.script("cube.py", "a = b = c = 1\n".replace(" = b = c", "") + "b = 1\nc = 1\n")
    pid = noted.call("status")["pid"]
    before = _peak(pid)
    made = noted.run("cube.py", "a=range[1:1000]", "b=range[1:1000]", "c=range[1:1000]", max_trials=50, stage=True)
    assert len(set(noted.values(made["run"]["id"], "a", "b", "c"))) == 50
    assert noted.restart(made["run"]["id"], stage=True)["trials"] == made["trials"]
    assert _peak(pid) - before < 50_000, "kB"


def _peak(pid: int) -> int:
    """The most memory that a process ever had, in kB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
