"""How the trials of batches share slots and processors with each other and with other runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.process.batch_client import GATED, BatchClient, most_at_once, raised
from tests.process.conftest import wait_until

SPANS = (
    "import os, time\nx = 1\nbegun = time.monotonic()\ntime.sleep(0.05)\n"
    "with open(os.environ['RUND_HOME'] + '/../spans', 'a') as f:\n    f.write(f'{begun} {time.monotonic()}\\n')\n"
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture
def four(batches: BatchClient) -> BatchClient:
    """Four slots."""
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="4")
    batches.script("gated.py", GATED)
    batches.script("spans.py", SPANS)
    batches.script(
        "quick.py", "n = 1\nimport os\nopen(os.environ['RUND_HOME'] + '/../ran', 'a').write(f'quick {n}\\n')\n"
    )
    return batches


def _most(client: BatchClient) -> int:
    lines = (client.folder / "spans").read_text().splitlines()
    (client.folder / "spans").unlink()
    return most_at_once([(float(begun), float(ended)) for begun, ended in map(str.split, lines)])


def test_jobs_bounds_how_many_trials_run_at_once_until_it_is_lifted(four: BatchClient) -> None:
    made = four.done(four.run("spans.py", "x=range[1:8]", jobs=2))
    assert _most(four) <= 2
    four.done(four.restart(made["run"]["id"], jobs=1))
    assert _most(four) == 1
    four.done(four.restart(made["run"]["id"]))
    assert _most(four) == 1, "remembered"
    four.done(four.restart(made["run"]["id"], jobs="all", slots=3))
    assert _most(four) == 1, "one run of three slots at once"


def test_a_batch_that_waits_for_its_jobs_holds_up_no_other_run(four: BatchClient) -> None:
    made = four.run("gated.py", "x=range[1:20]", jobs=1)
    batch = made["run"]["id"]
    wait_until(lambda: len(four.ran()) == 1)
    other = four.done(four.run("quick.py"))
    assert four.attrs(other["run"]["id"])["status"] == "completed"
    batch_of_others = four.done(four.run("quick.py", "n=[2,3,4]"))
    assert four.statuses(batch_of_others["run"]["id"]) == ["completed"] * 3
    assert four.statuses(batch) == ["running"] + ["pending"] * 19
    waits = four.call("show", run=made["trials"][1])["waits_for"]
    assert "--jobs" in waits
    four.restart(batch, needed=True, jobs=3)
    wait_until(lambda: four.statuses(batch).count("running") == 3)
    four.call("stop", runs=[batch])
    four.wait(batch)


def test_what_waits_for_several_slots_keeps_its_place(four: BatchClient) -> None:
    four.run("gated.py", "x=[1,2]")
    wait_until(lambda: len(four.ran()) == 2)
    wide = four.run("gated.py", "x=[3,4]", slots=3)
    young = four.run("quick.py")
    assert four.statuses(wide["run"]["id"]) == ["pending"] * 2
    assert four.attrs(young["run"]["id"])["status"] == "pending"
    assert "slots" in four.call("show", run=wide["trials"][0])["waits_for"]
    four.go()
    four.wait(wide["run"]["id"], young["run"]["id"])
    assert four.ran()[2] == "3 1"
    refused = raised(lambda: four.run("gated.py", "x=[3,4]", slots=5))
    assert refused.startswith("invalid: slots: ")


def test_higher_priorities_start_first_and_equal_ones_in_order(four: BatchClient) -> None:
    four.call("pause")
    low = four.run("gated.py", "x=[1,2]", jobs=1, slots=4)
    high = four.run("gated.py", "x=[3,4]", priority=5, slots=4)
    also = four.run("gated.py", "x=[5,6]", slots=4)
    four.go()
    four.call("resume")
    for each in (low, high, also):
        four.done(each)
    assert [line[0] for line in four.ran()] == ["3", "4", "1", "2", "5", "6"]
    four.call("pause")
    (four.folder / "ran").unlink()
    four.restart(also["run"]["id"])
    four.restart(low["run"]["id"], priority=6)
    four.call("resume")
    four.wait(low["run"]["id"], also["run"]["id"])
    assert [line[0] for line in four.ran()] == ["1", "2", "5", "6"]


def test_trials_share_the_processors_among_those_that_may_run_at_once(four: BatchClient) -> None:
    four.script(
        "threads.py",
        f"import os\nx = 1\nprint([os.environ.get(n) for n in {THREADS!r}], os.environ.get('RUND_BATCH_ID'))\n",
    )
    processors = len(os.sched_getaffinity(0))
    for options, at_once in (({}, 4), ({"jobs": 2}, 2), ({"jobs": 100}, 4), ({"slots": 4}, 1)):
        made = four.done(four.run("threads.py", "x=[1]", **options))
        share = str(max(1, processors // at_once))
        assert _output(four, made["trials"][0]) == f"{[share] * 3} {made['run']['id']}\n"
    env = four.machine.env | {"OMP_NUM_THREADS": "7"}
    made = four.done(four.run("threads.py", "x=[1]", jobs=1, env=env))
    assert _output(four, made["trials"][0]) == f"{['7', str(processors), str(processors)]} {made['run']['id']}\n"
    single = four.done(four.run("threads.py"))
    assert _output(four, single["run"]["id"]) == f"{[None] * 3} None\n"


def test_trials_know_their_seed_and_flags(four: BatchClient) -> None:
    four.script(
        "env.py", "import os\nx = 1\nprint(os.environ['RUND_RANDOM_SEED'], os.environ['FLAG_X'], os.getcwd())\n"
    )
    made = four.done(four.run("env.py", "x=[1,2]", random_seed=99))
    for trial, x in zip(four.trials(made["run"]["id"]), (1, 2), strict=True):
        assert _output(four, trial["id"]) == f"99 {x} {Path(trial['dir'])}\n"


def _output(client: BatchClient, run: str) -> str:
    data = client.call("output", run=run)["data"]
    return data.decode() if isinstance(data, bytes) else str(data)
