"""stop, pause and resume of batches, and restarts at once after them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.process.batch_client import GATED, NOTED, BatchClient, plan
from tests.process.conftest import wait_until

# Notes each of its starts and TERMs, and lives until the file `die` is there: then it exits with 7.
STUBBORN = (
    "import os, signal, time\nx = 1\nw = 1\nabove = os.environ['RUND_HOME'] + '/..'\ndie = above + '/die'\n"
    "def told(*_):\n    with open(above + '/told', 'a') as f:\n        f.write('told\\n')\n"
    "signal.signal(signal.SIGTERM, told)\nwaits = not os.path.exists(die)\n"
    "with open(above + '/ran', 'a') as f:\n    f.write(f'{x} {w}\\n')\n"
    "while not os.path.exists(die):\n    time.sleep(0.01)\nif waits:\n    os._exit(7)\n"
)


@pytest.fixture
def stubborn(batches: BatchClient) -> BatchClient:
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="3", RUND_GRACE="100")
    batches.script("stubborn.py", STUBBORN)
    batches.script("noted.py", NOTED)
    batches.script("gated.py", GATED)
    return batches


def test_a_restart_at_once_after_a_stop_runs_all_again_that_had_not_completed(stubborn: BatchClient) -> None:
    made = stubborn.run("stubborn.py", "x=[1,2,3,4,5]")
    batch, ids = made["run"]["id"], made["trials"]
    wait_until(lambda: len(stubborn.ran()) == 3)
    stubborn.call("stop", runs=[batch])
    assert stubborn.statuses(batch) == ["running"] * 3 + ["staged"] * 2
    assert [trial["reason"] for trial in stubborn.trials(batch)] == ["stopping"] * 3 + ["stopped"] * 2
    again = stubborn.restart(batch, needed=True)
    assert (again["trials"], again["plan"]) == (ids, plan(restarted=ids))
    kept = stubborn.restart(batch, needed=True)
    assert kept["plan"] == plan(kept=ids), "what waits for its end, waits"
    (stubborn.folder / "die").touch()
    stubborn.wait(batch)
    assert stubborn.statuses(batch) == ["completed"] * 5
    assert stubborn.attempts(batch) == [2, 2, 2, 1, 1]
    assert sorted(stubborn.ran()) == sorted(["1 1", "2 1", "3 1"] * 2 + ["4 1", "5 1"])


def test_a_second_stop_withdraws_what_waits_for_its_end(stubborn: BatchClient) -> None:
    made = stubborn.run("stubborn.py", "x=[1,2,3,4,5]")
    batch = made["run"]["id"]
    wait_until(lambda: len(stubborn.ran()) == 3)
    stubborn.call("stop", runs=[batch])
    stubborn.restart(batch)
    stubborn.call("stop", runs=[batch])
    told = stubborn.folder / "told"  # else they might end by themselves, before the stop comes to them
    wait_until(lambda: told.exists() and told.read_text().count("told") == 3)
    (stubborn.folder / "die").touch()
    stubborn.wait(batch)
    assert stubborn.statuses(batch) == ["terminated"] * 3 + ["staged"] * 2
    assert stubborn.attrs(batch)["status"] == "terminated"
    assert len(stubborn.ran()) == 3


def test_a_trial_that_dies_to_run_with_other_flags_stays_out_of_the_batch(stubborn: BatchClient) -> None:
    made = stubborn.run("stubborn.py", "x=[1,2]")
    batch, (one, two) = made["run"]["id"], made["trials"]
    wait_until(lambda: len(stubborn.ran()) == 2)
    stubborn.call("stop", runs=[one])
    stubborn.restart(one, "x=9")
    assert stubborn.ids(batch) == [two]
    again = stubborn.restart(batch, needed=True)
    new = again["trials"][0]
    assert again["plan"] == plan(created=[new], kept=[two])
    (stubborn.folder / "die").touch()
    stubborn.wait(batch, one)
    assert stubborn.values(batch, "x") == [(1,), (2,)]
    assert (stubborn.attrs(one)["flags"]["x"], stubborn.attrs(one)["batch"]) == (9, None)


def test_a_trial_withdrawn_to_other_flags_than_its_place_has_leaves_the_batch(stubborn: BatchClient) -> None:
    made = stubborn.done(stubborn.run("noted.py", "x=[1,2]"))
    batch, (one, two) = made["run"]["id"], made["trials"]
    stubborn.call("pause")
    stubborn.restart(one, "x=3")
    taken = stubborn.restart(batch, "x=[2,3]", needed=True)
    assert taken["plan"] == plan(skipped=[two], kept=[one], taken_back=[one])
    stubborn.call("stop", runs=[one])
    assert (stubborn.attrs(one)["flags"]["x"], stubborn.attrs(one)["status"]) == (1, "completed")
    assert stubborn.values(batch, "x") == [(2,)]
    assert stubborn.attrs(batch)["generation"] == taken["generation"] + 1
    stubborn.call("resume")
    assert len(stubborn.done(stubborn.restart(batch, needed=True))["plan"]["created"]) == 1


def test_paused_altogether_a_restart_waits_and_runs_after_resume_also_by_another_daemon(stubborn: BatchClient) -> None:
    made = stubborn.done(stubborn.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    stubborn.call("pause")
    again = stubborn.restart(batch, "x=[1,2,3]")
    assert [(trial["status"], trial["reason"]) for trial in stubborn.trials(batch)] == [("pending", "paused")] * 3
    assert stubborn.restart(batch, needed=True)["plan"] == plan(kept=again["trials"])
    stubborn.machine.kill()
    stubborn.machine.start()
    assert stubborn.statuses(batch) == ["pending"] * 3
    stubborn.call("resume")
    stubborn.wait(batch)
    assert stubborn.attempts(batch) == [2, 2, 1]


def test_one_paused_batch_holds_up_no_other_and_lets_what_runs_go_on(stubborn: BatchClient) -> None:
    made = stubborn.run("gated.py", "x=[1,2]", jobs=1)
    batch = made["run"]["id"]
    wait_until(lambda: len(stubborn.ran()) == 1)
    stubborn.call("pause", batch=batch)
    other = stubborn.done(stubborn.run("noted.py", "x=[5,6]"))
    assert stubborn.statuses(other["run"]["id"]) == ["completed"] * 2
    stubborn.go()
    stubborn.wait(made["trials"][0])
    assert [(trial["status"], trial["reason"]) for trial in stubborn.trials(batch)] == [
        ("completed", None),
        ("pending", "paused"),
    ]
    assert "paused" in stubborn.call("show", run=made["trials"][1])["waits_for"]
    assert stubborn.attrs(batch)["status"] == "running"
    stubborn.call("resume", batch=batch)
    stubborn.wait(batch)
    assert stubborn.statuses(batch) == ["completed"] * 2


def test_an_orphan_that_a_restart_had_queued_is_withdrawn_and_keeps_its_results(stubborn: BatchClient) -> None:
    stubborn.script("scored.py", "x = 1\nprint('loss:', x)\n")
    made = stubborn.done(stubborn.run("scored.py", "x=[1,2]"))
    batch, (one, two) = made["run"]["id"], made["trials"]
    before = stubborn.call("show", run=two)
    assert before["run"]["scalars"] == {"loss": 2.0}
    stubborn.call("pause")
    stubborn.restart(batch)
    assert stubborn.attrs(two)["status"] == "pending"
    freed = stubborn.restart(batch, "x=[1]", needed=True)
    assert freed["plan"] == plan(kept=[one], orphaned=[two])
    after = stubborn.call("show", run=two)
    assert after["run"] == before["run"] | {"batch": None}
    assert after["attempts"] == before["attempts"]
    stubborn.call("resume")
    stubborn.wait(batch)
    assert stubborn.attrs(two)["attempts"] == 1


def test_a_pending_orphan_that_never_ran_is_deleted_for_good(stubborn: BatchClient) -> None:
    stubborn.call("pause")
    made = stubborn.run("noted.py", "x=[1,2]")
    batch, (one, two) = made["run"]["id"], made["trials"]
    stubborn.call("set", runs=[two], label="l", add_tags=["t"])
    freed = stubborn.restart(batch, "x=[1]", needed=True)
    assert freed["plan"] == plan(kept=[one], deleted=[two])
    assert stubborn.call("list", batch=batch, orphans=True)["runs"] == []
    assert {run["id"] for run in stubborn.call("list")["runs"]} == {one, batch}
    assert stubborn.call("list", trash=True)["runs"] == []
    stubborn.call("resume")
    stubborn.wait(batch)
    assert stubborn.ran() == ["1 1"]


def test_a_running_orphan_runs_on_untouched(stubborn: BatchClient) -> None:
    made = stubborn.run("gated.py", "x=[1,2]")
    batch, (one, two) = made["run"]["id"], made["trials"]
    wait_until(lambda: len(stubborn.ran()) == 2)
    pid_file = Path(stubborn.attrs(two)["dir"]) / "pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    pid, before = int(pid_file.read_text()), stubborn.call("show", run=two)
    freed = stubborn.restart(batch, "x=[1]", needed=True)
    assert freed["plan"] == plan(kept=[one], orphaned=[two])
    os.kill(pid, 0)
    assert stubborn.call("show", run=two)["run"] == before["run"] | {"batch": None}
    stubborn.go()
    stubborn.wait(one, two)
    ended = stubborn.attrs(two)
    assert (ended["status"], ended["attempts"], ended["batch"]) == ("completed", 1, None)
    assert int(pid_file.read_text()) == pid


def test_the_event_of_what_waits_for_its_end_says_what_it_shows(stubborn: BatchClient) -> None:
    made = stubborn.run("stubborn.py", "x=[1,2,3,4]")
    batch, ids = made["run"]["id"], made["trials"]
    wait_until(lambda: len(stubborn.ran()) == 3)
    stubborn.call("stop", runs=[batch])
    last = stubborn.last_event()
    stubborn.restart(batch)
    queued = [each for each in stubborn.events(last) if each["kind"] == "queued" and batch not in each["runs"]]
    assert [(each["runs"], each["status"], each["reason"]) for each in queued] == [
        (ids[3:], "pending", None),
        (ids[:3], "running", "stopping"),
    ]
    (stubborn.folder / "die").touch()
    stubborn.wait(batch)
    queued = [each for each in stubborn.events(last) if each["kind"] == "queued" and each["status"] == "pending"]
    assert sorted(run for each in queued for run in each["runs"]) == sorted(ids)
