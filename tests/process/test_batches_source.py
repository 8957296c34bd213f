"""Restarts of batches with the script, the environment or the seed of today."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.process.batch_client import BatchClient, plan
from tests.process.conftest import DEADLINE, wait_until

BROKEN = "x = 1\nif x > 1:\n    raise SystemExit('a bug')\n"
MENDED = "x = 1\nw = 0.5\nprint('mended', x, w)\n"


@pytest.fixture
def broken(batches: BatchClient) -> BatchClient:
    batches.script("train.py", BROKEN)
    return batches


def _output(client: BatchClient, run: str) -> str:
    text = client.call("output", run=run)["data"]
    return text.decode() if isinstance(text, bytes) else str(text)


def test_after_a_bug_fix_only_what_had_not_completed_runs_again(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,2,3]"))
    batch, (one, two, three) = made["run"]["id"], made["trials"]
    assert broken.statuses(batch) == ["completed", "error", "error"]
    broken.script("train.py", MENDED)
    again = broken.done(broken.restart(batch, update_source=True, needed=True))
    assert again["plan"] == plan(restarted=[two, three], skipped=[one])
    assert again["outdated"] == 1
    assert broken.statuses(batch) == ["completed"] * 3
    assert _output(broken, three) == "mended 3 0.5\n"
    assert broken.attrs(three)["flags"] == {"x": 3, "w": 0.5}
    every = broken.done(broken.restart(batch))
    assert (every["plan"], every["outdated"]) == (plan(restarted=made["trials"]), 0)
    assert _output(broken, one) == "mended 1 0.5\n"
    wider = broken.done(broken.restart(batch, "w=[0.5,0.7]", needed=True))
    assert wider["plan"]["skipped"] == made["trials"]
    assert len(wider["plan"]["created"]) == 3


def test_without_update_source_the_script_as_it_was_runs(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,2]"))
    broken.script("train.py", MENDED)
    broken.done(broken.restart(made["run"]["id"], needed=True))
    assert broken.statuses(made["run"]["id"]) == ["completed", "error"]


def test_a_flag_that_is_gone_is_ignored_and_one_never_given_takes_its_new_default(broken: BatchClient) -> None:
    broken.script("train.py", "x = 1\ny = 2\nz = 3\n")
    made = broken.done(broken.run("train.py", "x=[1,2]", "y=2"))
    batch = made["run"]["id"]
    broken.script("train.py", "x = 1\ny = 5\n")
    gone = broken.done(broken.restart(batch, update_source=True, needed=True))
    assert gone["plan"] == plan(skipped=made["trials"]), "y was given: it stays"
    broken.script("train.py", "x = 1\ny = 5\nz = 4\n")
    other = broken.done(broken.restart(batch, update_source=True, needed=True))
    assert len(other["plan"]["created"]) == 2
    assert set(other["plan"]["orphaned"]) == set(made["trials"]), "their z is 3"
    assert broken.values(batch, "x", "y", "z") == [(1, 2, 4), (2, 2, 4)]


def test_a_column_of_the_rows_that_is_no_flag_any_more_is_left_out(broken: BatchClient) -> None:
    options = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', type=int, default=1)\n"
    broken.script("train.py", f"{options}p.add_argument('--y', type=int)\nprint(p.parse_args())\n")
    made = broken.done(broken.run("train.py", rows=[{"x": 1, "y": 2}, {"x": 2, "y": 3}]))
    batch = made["run"]["id"]
    broken.script("train.py", f"{options}print(p.parse_args())\n")
    updated = broken.done(broken.restart(batch, update_source=True))
    assert updated["plan"] == plan(restarted=made["trials"])
    again = broken.done(broken.restart(batch))
    assert again["plan"] == plan(restarted=made["trials"]), "it is remembered"
    assert broken.statuses(batch) == ["completed"] * 2
    assert [each["flags"] for each in broken.trials(batch)] == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize("in_rows", [False, True])
def test_flags_that_were_forced_stay_and_trials_are_matched_by_them(broken: BatchClient, *, in_rows: bool) -> None:
    options = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', type=int, default=1)\n"
    broken.script("train.py", f"{options}print(p.parse_known_args())\n")
    grid = [{"x": x, "forced": forced} for forced in (3, 4) for x in (1, 2)]
    given = {"rows": grid} if in_rows else {"flags": {"x": [1, 2], "forced": [3, 4]}}
    made = broken.done(broken.run("train.py", force_flags=True, **given))
    batch = made["run"]["id"]
    broken.script("train.py", f"{options}p.add_argument('--w', type=int, default=0)\nprint(p.parse_known_args())\n")
    needed = broken.done(broken.restart(batch, update_source=True, needed=True))
    assert needed["plan"] == plan(skipped=made["trials"])
    again = broken.done(broken.restart(batch, update_source=True))
    assert again["plan"] == plan(restarted=made["trials"])
    assert [{"w": 0, **each} for each in grid] == [each["flags"] for each in broken.trials(batch)]
    alone = broken.done(broken.restart(made["trials"][0], update_source=True, needed=True))
    assert alone["plan"] == plan(skipped=made["trials"][:1])


def test_trials_that_still_wait_take_the_new_source_and_flags(broken: BatchClient) -> None:
    broken.call("pause")
    made = broken.run("train.py", "x=[1,2]")
    batch = made["run"]["id"]
    broken.script("train.py", MENDED)
    again = broken.restart(batch, update_source=True, needed=True)
    assert again["plan"] == plan(kept=made["trials"])
    assert broken.values(batch, "x", "w") == [(1, 0.5), (2, 0.5)]
    broken.call("resume")
    broken.wait(batch)
    assert [_output(broken, each) for each in made["trials"]] == ["mended 1 0.5\n", "mended 2 0.5\n"]


def test_an_executable_without_declared_flags_keeps_its_trials(broken: BatchClient) -> None:
    broken.script("rund.toml", '[operations.go]\ncommand = "./go.sh one"\n')
    broken.script("go.sh", "#!/bin/sh\necho $1 $FLAG_X\n").chmod(0o755)
    made = broken.done(broken.run("go", "x=[1,2]"))
    broken.script("rund.toml", '[operations.go]\ncommand = "./go.sh two"\n')
    again = broken.done(broken.restart(made["run"]["id"], update_source=True))
    assert again["plan"] == plan(restarted=made["trials"])
    assert [_output(broken, each) for each in made["trials"]] == ["two 1\n", "two 2\n"]
    needed = broken.done(broken.restart(made["run"]["id"], update_source=True, needed=True))
    assert needed["plan"] == plan(skipped=made["trials"])


def test_a_stop_that_undoes_an_updated_restart_leaves_the_trials_listed(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,2]"))
    batch = made["run"]["id"]
    before = broken.trials(batch)
    broken.script("train.py", MENDED)
    broken.call("pause")
    broken.restart(batch, update_source=True)
    assert broken.values(batch, "x", "w") == [(1, 0.5), (2, 0.5)]
    broken.call("stop", runs=[batch])
    assert broken.trials(batch) == before
    broken.call("resume")
    again = broken.done(broken.restart(batch, needed=True))
    assert again["plan"] == plan(restarted=made["trials"][1:], skipped=made["trials"][:1])


def test_seed_and_environment_that_changed_are_told_and_not_run_for(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[0,1]", random_seed=1))
    batch = made["run"]["id"]
    assert broken.restart(batch, needed=True)["outdated"] == 0
    seeded = broken.restart(batch, needed=True, random_seed=2)
    assert (seeded["plan"], seeded["outdated"]) == (plan(skipped=made["trials"]), 2)
    other = broken.restart(batch, needed=True, random_seed=1, update_env=True, env=broken.machine.env | {"MORE": "1"})
    assert (other["plan"], other["outdated"]) == (plan(skipped=made["trials"]), 2)
    broken.done(broken.restart(batch))
    assert broken.call("show", run=made["trials"][0], environment=True)["environment"]["MORE"] == "1"


def test_a_dry_run_with_the_source_of_today_tells_the_plan_and_keeps_nothing(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,2,3]"))
    batch = made["run"]["id"]
    broken.script("train.py", MENDED)
    sources = sorted((broken.machine.home / "sources").iterdir())
    dry = broken.restart(batch, "x=[1,2,3,4]", update_source=True, needed=True, dry_run=True)
    assert dry["plan"] == plan(created=[{"x": 4, "w": 0.5}], skipped=made["trials"][:1], restarted=made["trials"][1:])
    assert broken.call("show", run=batch)["source"] == made_source(broken, made["trials"][0])
    assert sorted((broken.machine.home / "sources").iterdir()) == sources


def made_source(client: BatchClient, run: str) -> str:
    return str(client.call("show", run=run)["source"])


def test_a_trial_updated_by_itself_stays_listed_and_is_matched(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,2]"))
    batch, (one, two) = made["run"]["id"], made["trials"]
    broken.script("train.py", MENDED)
    broken.restart(two, update_source=True)
    broken.wait(two)
    assert (broken.ids(batch), broken.statuses(batch)) == ([one, two], ["completed"] * 2)
    assert broken.restart(batch, needed=True)["plan"] == plan(skipped=[one, two])
    assert broken.restart(batch, update_source=True, needed=True)["plan"] == plan(skipped=[one, two])


def test_a_trial_updated_by_itself_with_a_flag_that_its_batch_has_not_is_not_claimed(broken: BatchClient) -> None:
    made = broken.done(broken.run("train.py", "x=[1,0]"))
    batch, (one, zero) = made["run"]["id"], made["trials"]
    broken.script("train.py", MENDED)
    broken.restart(zero, "w=5", update_source=True)
    broken.wait(zero)
    assert broken.ids(batch) == [one], "its flags have changed"
    again = broken.done(broken.restart(batch))
    assert again["plan"]["restarted"] == [one]
    assert len(again["plan"]["created"]) == 1
    assert (broken.attrs(zero)["flags"], broken.attrs(zero)["attempts"]) == ({"x": 0, "w": 5}, 2)
    newest = broken.restart(batch, update_source=True, needed=True)
    assert newest["plan"]["orphaned"] == [], "w is 0.5 by default, which those without it equal"
    assert zero not in newest["trials"]
    back = broken.restart(batch, "w=5", needed=True, dry_run=True)
    assert back["plan"]["taken_back"] == [zero]


def test_an_environment_that_was_replaced_is_forgotten_by_the_next_daemon(broken: BatchClient) -> None:
    def kept(secret: str) -> int:
        with contextlib.closing(sqlite3.connect(broken.machine.home / "rund.db", timeout=DEADLINE)) as store:
            query = "SELECT count(*) FROM environments WHERE body LIKE ?"
            return int(store.execute(query, (f"%{secret}%",)).fetchone()[0])

    env = broken.machine.env
    made = broken.done(broken.run("train.py", "x=[0,1]", env=env | {"KEY": "first-secret"}))
    batch = made["run"]["id"]
    broken.run("train.py", "x=0", env=env | {"KEY": "other-secret"}, stage=True)
    staged = broken.run("train.py", "x=1", env=env | {"KEY": "staged-secret"}, stage=True)["run"]["id"]
    broken.restart(staged, stage=True, update_env=True, env=env | {"KEY": "second-secret"})
    skipped = broken.run("train.py", "x=0", env=env | {"KEY": "skipped-secret"}, needed=True)
    assert skipped["plan"]["skipped"]
    assert kept("skipped-secret") == 0, "nothing was made of it"
    assert kept("staged-secret") == 1
    broken.machine.kill()
    broken.machine.start()
    wait_until(lambda: kept("staged-secret") == 0)
    assert [kept(f"{name}-secret") for name in ("first", "other", "second")] == [1, 1, 1]
    broken.done(broken.restart(batch))
    assert broken.statuses(batch) == ["completed", "completed"]
