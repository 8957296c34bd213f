"""What the client makes of a batch without I/O: plan, tally, events, prefixes, rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.batch_plan import named_in, outdated_line, plan_lines
from runctl.batch_watch import BatchWatch
from runctl.failures import UsageError
from runctl.gpu import is_gpu_seen
from runctl.prefixing import Prefixer
from runctl.rows import read_rows
from runctl.tally import all_completed, progress, rough, seconds_left, summary
from runctl.trial_pages import TrialPages

from tests.integration.fake_daemon import a_plan, a_run

BATCH = "1f2e3d4c" + "0" * 24


def an_id(number: int) -> str:
    return f"{number:08x}" + "0" * 24


def a_batch(**counts: int) -> Any:
    return a_run(id=BATCH, counts=counts, trial_count=sum(counts.values()))


def lines(plan: Any, *, would: bool = False, **named: Any) -> list[str]:
    runs = {an_id(number): a_run(id=an_id(number), status="running") for number in range(100)}
    return list(plan_lines(plan, named_in(plan, **named), runs, would=would))


def test_each_part_of_a_plan_has_its_line() -> None:
    parts = ("created", "restarted", "skipped", "kept", "taken_back", "orphaned", "deleted")
    assert lines(a_plan(**{part: [an_id(number)] for number, part in enumerate(parts)})) == [
        "Initialized trial 00000000 (x=1.0, y=2, z=a)",
        "Restarting trial 00000001 (x=1.0, y=2, z=a)",
        "Skipping trial 00000002 because it is completed and its flags have not changed (--needed)",
        "Keeping trial 00000003 (x=1.0, y=2, z=a) as it is: running",
        "Taking back trial 00000004 (x=1.0, y=2, z=a)",
        "Setting free trial 00000005 (x=1.0, y=2, z=a)",
        "Deleted trial 00000006, which never started",
    ]


@pytest.mark.parametrize(
    ("count", "last"), [(20, None), (21, "Initialized 1 more trial"), (23, "Initialized 3 more trials")]
)
def test_of_more_than_twenty_of_a_kind_the_first_twenty_and_a_count_are_told(count: int, last: str | None) -> None:
    told = lines(a_plan(created=[an_id(number) for number in range(count)]))
    assert len(told) == min(count, 20) + (last is not None)
    assert told[19].startswith("Initialized trial 00000013 ")
    assert last is None or told[20] == last


def test_a_count_of_all_trials_names_the_first_of_them_and_any_other_none() -> None:
    listed = [an_id(number) for number in range(20)]
    told = lines(a_plan(restarted=30_000, skipped=12_000), listed=listed, total=30_000)
    assert told[0].startswith("Restarting trial 00000000 ")
    assert told[20:] == ["Restarting 29980 more trials", "Skipping 12000 trials"]


def test_a_dry_run_says_what_would_be() -> None:
    told = lines(a_plan(created=[{"x": 1.0}, {"x": 2}], orphaned=[an_id(1)], deleted=11_000), would=True)
    assert told == [
        "Would initialize a trial (x=1.0)",
        "Would initialize a trial (x=2)",
        "Would set free trial 00000001 (x=1.0, y=2, z=a)",
        "Would be: deleted 11000 trials, which never started",
    ]


def test_trials_that_are_out_of_date_are_counted() -> None:
    assert outdated_line(0) is None
    assert outdated_line(3) == "3 of them were completed with another source, environment or seed"


def test_a_summary_has_every_status_that_there_is() -> None:
    assert summary(a_batch(error=1, completed=4, staged=0)) == "Batch 1f2e3d4c: 4 completed, 1 error"
    assert not all_completed(a_batch(error=1, completed=4))
    assert all_completed(a_batch(completed=4))


def test_the_live_line_tells_what_is_done_and_how_long_the_rest_takes() -> None:
    batch = a_batch(completed=2, error=1, running=2, pending=7)
    left = seconds_left(batch["counts"], done_before=0, elapsed=40.0)
    assert progress(batch, left) == "3/12 done, 2 running, 1 error, about 2 min left"
    assert progress(batch, None) == "3/12 done, 2 running, 1 error"
    assert seconds_left(batch["counts"], done_before=3, elapsed=40.0) is None
    assert [rough(seconds) for seconds in (0.1, 59, 90, 7200, 200_000)] == ["1 s", "59 s", "2 min", "2 h", "2 d"]


def event(kind: str, *runs: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "runs": list(runs), "batch": None, "generation": None, "time": 0.0, **more}


def told_by(watch: BatchWatch, *events: dict[str, Any], reset: bool = False, shown: tuple[str, ...] = ()) -> Any:
    return watch.read({"events": list(events), "last": 9, "reset": reset}, shown)  # type: ignore[typeddict-item]  # parts


def test_what_happened_before_the_request_is_passed_over() -> None:
    watch = BatchWatch(BATCH, 3)
    before = event("ended", an_id(1), batch=BATCH)
    assert not told_by(watch, before, event("trials", BATCH, batch=BATCH, generation=2), before).anything
    told = told_by(watch, event("trials", BATCH, batch=BATCH, generation=3), event("started", an_id(2), batch=BATCH))
    assert [run_id for run_id, _ in told.changes] == [an_id(2)]


def test_only_trials_of_the_batch_count_and_those_that_are_shown() -> None:
    watch = BatchWatch(BATCH, None)
    other = event("started", an_id(1), batch=an_id(9))
    freed = event("ended", an_id(2))
    assert not told_by(watch, other, freed).anything
    assert [run_id for run_id, _ in told_by(watch, freed, shown=(an_id(2),)).changes] == [an_id(2)]
    assert told_by(watch, event("ended", BATCH)).is_over
    assert told_by(watch, event("deleted", BATCH)).forgotten
    assert not told_by(watch, event("queued", BATCH)).anything


def test_events_that_are_not_kept_are_said_to_be_missing() -> None:
    watch = BatchWatch(BATCH, 3)
    assert told_by(watch, reset=True).reset
    assert told_by(watch, event("started", an_id(2), batch=BATCH)).anything


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_prefixed_output_has_all_bytes_whatever_parts_it_comes_in(parts: list[bytes]) -> None:
    prefixer = Prefixer("6d0f7a11")
    written = b"".join(map(prefixer.feed, parts)) + prefixer.finish()
    whole = b"".join(parts)
    expected = whole.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert written == b"".join(b"[6d0f7a11] " + line + b"\n" for line in expected)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    prefixer = Prefixer("6d0f7a11")
    written = b"".join(prefixer.feed(b"x" * 1000) for _ in range(1000)) + prefixer.finish()
    assert written.count(b"x") == 1_000_000
    assert 10 < written.count(b"\n") < 20


def test_rows_are_json_lines_and_blank_ones_are_passed_over() -> None:
    assert read_rows([b'\xef\xbb\xbf{"x": 1}\n', b"\n", b'{"x": 1.0, "y": "1"}']) == [{"x": 1}, {"x": 1.0, "y": "1"}]


@pytest.mark.parametrize("bad", [b"{\n", b"[1]\n", b"\xff\n", b'{"x": 1, "x": 2}\n', b"[" * 100_000, b"1" * 5000])
def test_a_bad_row_is_told_by_its_line(bad: bytes) -> None:
    with pytest.raises(UsageError, match=r"^standard input, line 3: [^\n]*$"):
        read_rows([b'{"x": 1}\n', b"\n", bad])


def test_no_rows_are_no_batch() -> None:
    with pytest.raises(UsageError, match="no rows"):
        read_rows([b"\n"])


def test_a_gpu_is_seen_where_it_is_named_or_there() -> None:
    assert is_gpu_seen({"CUDA_VISIBLE_DEVICES": "0"}, device="/nowhere")
    assert is_gpu_seen({}, device="/dev/null")
    assert not is_gpu_seen({}, device="/nowhere")
    assert not is_gpu_seen({"CUDA_VISIBLE_DEVICES": ""}, device="/dev/null")


def test_pages_are_of_one_list() -> None:
    pages = TrialPages(BATCH)
    answers = [(1, "a", "next"), (2, "b", "next"), (2, "a", "next"), (2, "b", None)]
    for generation, run, following in answers:
        assert pages.wanted() is not None
        pages.take({"generation": generation, "runs": [{"id": run}], "next": following})
    assert pages.wanted() is None
    assert pages.runs == [{"id": "a"}, {"id": "b"}]
