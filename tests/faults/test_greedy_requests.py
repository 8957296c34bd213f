"""Small requests that ask for a lot: of memory they are refused it at once, of time it is theirs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.test_hanging_folders import many_ask
from tests.process.batch_client import BatchClient, raised
from tests.process.conftest import DEADLINE

MEBIBYTE = 1024 * 1024


def memory_peak(client: BatchClient) -> int:
    """The daemon's, in bytes, since it was started."""
    lines = Path(f"/proc/{client.machine.daemons[-1].pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([f"n{number}=range[1:1000000]" for number in range(40)], "have more than 2,000,000 values together"),
        (["n=range[1:100000]", "text=" + "x" * 10_000], "trials have more than 536,870,912 characters"),
    ],
    ids=["lists", "texts"],
)
def test_a_request_that_would_take_more_memory_than_there_may_be_is_refused_before_it_takes_it(
    batches: BatchClient, args: list[str], said: str
) -> None:
    before = memory_peak(batches)
    message = raised(lambda: batches.run("/bin/true", *args, force_flags=True))
    assert message.startswith("invalid: ")
    assert said in message
    # Without a bound it would be more than 1000 MiB.
    assert memory_peak(batches) - before < 400 * MEBIBYTE


def test_a_dry_run_that_would_show_more_than_an_answer_may_have_is_refused(batches: BatchClient) -> None:
    args = ["n=range[1:1500]", "text=" + "x" * 60_000]
    message = raised(lambda: batches.run("/bin/true", *args, force_flags=True, dry_run=True))
    assert message.startswith("invalid: the flags of 1,500 trials have 90,0"), message
    assert message.endswith("a dry run shows at most 67,108,864: give shorter values, or fewer trials")


def test_the_source_of_a_request_that_is_refused_later_is_removed_unless_others_need_it(batches: BatchClient) -> None:
    batches.script("job.py", "a = b = 1\n")
    message = raised(lambda: batches.run("job.py", "a=range[1:300000]", "b=range[1:300000]", force_flags=True))
    assert message.startswith("invalid: the grid has 90,000,000,000 trials")
    sources = batches.machine.home / "sources"
    assert not list(sources.iterdir())
    batches.run("job.py", stage=True)
    assert raised(lambda: batches.run("job.py", "a=range[1:300000]", "b=range[1:300000]", force_flags=True)) == message
    assert len(list(sources.iterdir())) == 1, "another needs it"


def test_lists_as_long_as_they_may_be_are_sampled(batches: BatchClient) -> None:
    made = batches.run("/bin/true", "a=range[1:1000000]", "b=range[1:10]", force_flags=True, stage=True, max_trials=2)
    assert len(made["trials"]) == 2
    again = batches.restart(made["run"]["id"], "b=range[2:1000000]", force_flags=True, stage=True, max_trials=1)
    assert len(again["trials"]) == 1
    message = raised(lambda: batches.restart(made["run"]["id"], "c=[1,2]", force_flags=True, stage=True))
    assert message.startswith("invalid: a: the lists of all flags have more than 2,000,000 values together: give")


def test_forty_requests_that_are_computed_for_half_a_minute_each_hold_up_no_short_one(batches: BatchClient) -> None:
    slow = {"operation": "/bin/true", "args": ["a=logspace[0:1:1000000]"], "force_flags": True, "dry_run": True}
    with many_ask(batches.machine, "run", **slow, cwd="/", env=batches.machine.env):
        for _ in range(3):
            run = batches.done(batches.run("/bin/true"))["run"]["id"]
            assert batches.call("output", run=run)["data"] == b""
        made = batches.run("/bin/true", "n=range[1:1000]", force_flags=True, stage=True)
        assert len(made["trials"]) == 1000
        assert_ends_in_order(batches)


def assert_ends_in_order(batches: BatchClient) -> None:
    """What is computed for its clients is given up, for it has changed nothing."""
    daemon = batches.machine.daemons[-1]
    daemon.terminate()
    assert daemon.wait(DEADLINE) == 0
    log = (batches.machine.folder / "rund.log").read_text()
    assert "Traceback" not in log
    assert "something unwritten" not in log
