"""Trials that fail, are killed, cannot be executed or are lost: retries, fail-fast, and what is needed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.batch_client import NOTED, BatchClient, plan
from tests.process.conftest import wait_until

# With x = 1 it exits with 1, with x = 2 it is killed, until it has healed; else it completes.
FAILING = (
    "import os, signal\nx = 1\n"
    "with open(os.environ['RUND_HOME'] + '/../ran', 'a') as f:\n    f.write(f'{x}\\n')\n"
    "healed = os.path.exists('healed') or os.path.exists(os.environ['RUND_HOME'] + '/../healed')\n"
    "open('healed', 'w').close() if os.environ.get('HEALS') else None\n"
    "if x == 1 and not healed:\n    os._exit(1)\nif x == 2 and not healed:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture
def failing(batches: BatchClient) -> BatchClient:
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="1")
    batches.script("failing.py", FAILING)
    batches.script("noted.py", NOTED)
    return batches


@pytest.mark.parametrize(
    ("x", "status", "reason"), [(1, "error", "exit 1"), (2, "terminated", "signal 9")], ids=["exit", "signal"]
)
def test_the_first_bad_end_withdraws_what_waits(failing: BatchClient, x: int, status: str, reason: str) -> None:
    made = failing.done(failing.run("failing.py", f"x=[0,{x},3,4]", fail_fast=True))
    batch = made["run"]["id"]
    assert failing.statuses(batch) == ["completed", status, "staged", "staged"]
    assert failing.trials(batch)[1]["reason"] == reason
    assert failing.attrs(batch)["status"] == "staged"
    assert failing.attrs(batch)["counts"]["staged"] == 2
    (failing.folder / "healed").touch()
    again = failing.done(failing.restart(batch, needed=True))
    assert again["plan"] == plan(restarted=made["trials"][1:], skipped=made["trials"][:1])
    assert failing.statuses(batch) == ["completed"] * 4


def test_with_fail_fast_running_trials_run_on(failing: BatchClient) -> None:
    failing.machine.kill()
    failing.machine.start(RUND_SLOTS="2")
    failing.script(
        "two.py",
        "import os, time\nx = 1\ngo = os.environ['RUND_HOME'] + '/../go'\n"
        "while x == 1 and not os.path.exists(go):\n    time.sleep(0.01)\nif x == 2:\n    raise SystemExit(1)\n",
    )
    made = failing.run("two.py", "x=[1,2,3]", fail_fast=True)
    batch = made["run"]["id"]
    failing.until(made["trials"][2], "staged")
    assert failing.statuses(batch) == ["running", "error", "staged"]
    failing.go()
    failing.wait(batch)
    assert failing.statuses(batch) == ["completed", "error", "staged"]


def test_what_fails_is_tried_again_at_the_end_of_the_queue_so_many_times(failing: BatchClient) -> None:
    made = failing.done(failing.run("failing.py", "x=[1,2,3]", retries=2))
    batch = made["run"]["id"]
    assert failing.ran() == ["1", "2", "3", "1", "2", "1", "2"]
    assert failing.statuses(batch) == ["error", "terminated", "completed"]
    assert failing.attempts(batch) == [3, 3, 1]
    assert failing.attrs(batch)["status"] == "error"
    failing.done(failing.restart(batch, needed=True))
    assert failing.attempts(batch) == [6, 6, 1], "the retries count anew with every restart"


def test_a_trial_that_heals_is_not_tried_more_often_than_needed(failing: BatchClient) -> None:
    env = failing.machine.env | {"HEALS": "1"}
    made = failing.done(failing.run("failing.py", "x=[1,2]", retries=5, fail_fast=True, env=env))
    assert failing.statuses(made["run"]["id"]) == ["completed"] * 2
    assert failing.attempts(made["run"]["id"]) == [2, 2]


def test_fail_fast_acts_only_after_the_retries(failing: BatchClient) -> None:
    made = failing.done(failing.run("failing.py", "x=[1,3,4]", retries=1, fail_fast=True))
    assert failing.statuses(made["run"]["id"]) == ["error", "completed", "completed"]
    assert failing.ran() == ["1", "3", "4", "1"]


def test_a_stop_is_no_failure(failing: BatchClient) -> None:
    failing.script("long.py", "import signal\nx = 1\nopen('began', 'w').close()\nif x == 1:\n    signal.pause()\n")
    made = failing.run("long.py", "x=[1,2]", retries=3, fail_fast=True)
    first = failing.trials(made["run"]["id"])[0]
    wait_until(lambda: (Path(first["dir"]) / "began").exists())
    failing.call("stop", runs=[first["id"]])
    failing.wait(made["run"]["id"])
    assert failing.statuses(made["run"]["id"]) == ["terminated", "completed"]
    assert failing.attempts(made["run"]["id"]) == [1, 1]
    assert failing.attrs(made["run"]["id"])["status"] == "error"


def test_what_cannot_be_executed_ends_in_error_and_its_batch_goes_on(failing: BatchClient) -> None:
    script = failing.script("gone.sh", "#!/no/such/interpreter\n")
    script.chmod(0o755)
    made = failing.done(failing.run("./gone.sh", "x=[1,2]", retries=3, fail_fast=True))
    batch = made["run"]["id"]
    assert failing.statuses(batch) == ["error", "error"], "neither retries nor fail-fast act on it"
    assert failing.attempts(batch) == [1, 1]
    assert all(trial["reason"].startswith("could not start: ") for trial in failing.trials(batch))
    script.write_text("#!/bin/sh\nexit 0\n")
    again = failing.done(failing.restart(batch, needed=True, update_source=True))
    assert again["plan"] == plan(restarted=made["trials"])
    assert failing.statuses(batch) == ["completed", "completed"]


def test_error_terminated_and_lost_run_again_if_needed_and_completed_do_not(failing: BatchClient) -> None:
    failing.script(
        "ends.py",
        "import os, signal\nx = 0\nopen('pid', 'w').write(str(os.getpid()))\nhealed = os.path.exists('healed')\n"
        "open('healed', 'w').close()\n"
        "if not healed and x == 1:\n    raise SystemExit(3)\nif not healed and x >= 2:\n    signal.pause()\n",
    )
    failing.machine.kill()
    failing.machine.start(RUND_SLOTS="4")
    made = failing.run("ends.py", "x=[0,1,2,3]")
    batch, (zero, one, two, three) = made["run"]["id"], made["trials"]
    failing.wait(zero, one)
    wait_until(lambda: all((Path(failing.attrs(each)["dir"]) / "healed").exists() for each in (two, three)))
    failing.call("stop", runs=[two])
    failing.wait(two)
    failing.machine.kill()
    # All that could tell how it ended is gone, as after a machine's crash: its processes.
    wait_until(lambda: not failing.machine.end_processes())
    failing.machine.start(RUND_SLOTS="4")
    failing.wait(batch)
    assert failing.statuses(batch) == ["completed", "error", "terminated", "error"]
    assert failing.attrs(three)["reason"].startswith("lost")
    again = failing.done(failing.restart(batch, needed=True))
    assert again["plan"] == plan(restarted=[one, two, three], skipped=[zero])
    assert failing.statuses(batch) == ["completed"] * 4


def test_after_fail_fast_gave_up_nothing_is_tried_again_until_it_is_restarted(failing: BatchClient) -> None:
    failing.machine.kill()
    failing.machine.start(RUND_SLOTS="2")
    failing.script(
        "late.py",
        "import os, time\nx = 1\ngo = os.environ['RUND_HOME'] + '/../go'\n"
        "while x == 2 and not os.path.exists(go):\n    time.sleep(0.01)\nos._exit(1 if x < 3 else 0)\n",
    )
    made = failing.run("late.py", "x=[1,2,3]", retries=1, fail_fast=True)
    batch, (one, two, _) = made["run"]["id"], made["trials"]
    wait_until(lambda: (failing.attrs(one)["status"], failing.attrs(one)["attempts"]) == ("error", 2))
    failing.go()
    failing.wait(batch)
    assert failing.statuses(batch) == ["error", "error", "completed"]
    assert failing.attempts(batch) == [2, 1, 1], "the batch was given up before the second failed"
    failing.restart(two)
    failing.wait(batch)
    assert failing.attempts(batch) == [2, 3, 1], "a restart counts anew"
