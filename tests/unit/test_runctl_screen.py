"""What a person sees: endings, tables, times, JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.commands.listing import run_lines
from runctl.commands.show import run_page
from runctl.ending import ending_line, run_exit_status
from runctl.screen import counted, plain, put_json
from runctl.table import columns, cut
from runctl.times import duration, size

from rund.api.results import RunMap

STATUSES = ("staged", "pending", "running", "completed", "error", "terminated")


def a_run(**attrs: Any) -> RunMap:
    run: dict[str, Any] = {
        "id": "6d0f7a11" + "0" * 24,
        "operation": "echo.py",
        "status": "completed",
        "reason": None,
        "flags": {"x": 1.0, "y": 2, "z": "a"},
        "label": None,
        "tags": [],
        "batch": None,
        "made_by": None,
        "random_seed": 7,
        "created": 0.0,
        "started": None,
        "stopped": None,
        "exit_status": None,
        "signal": None,
        "attempts": 0,
        "dir": "/runs/6d",
        "scalars": {},
    }
    made: RunMap = {**run, **attrs}  # type: ignore[typeddict-item]  # the attrs that a test changes
    return made


@given(
    st.sampled_from(STATUSES),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(1, 64),
)
def test_the_exit_status_is_0_just_when_the_run_completed(status: str, code: int | None, signal: int | None) -> None:
    run = a_run(status=status, exit_status=code, signal=signal if status in ("error", "terminated") else None)
    assert (run_exit_status(run) == 0) == (status == "completed")


@pytest.mark.parametrize(
    ("attrs", "status", "line"),
    [
        ({"status": "completed", "exit_status": 0}, 0, None),
        (
            {"status": "error", "exit_status": 3, "reason": "exit 3"},
            3,
            "Run 6d0f7a11 ended in error: exit 3",
        ),
        (
            {"status": "terminated", "signal": 9, "reason": "signal 9"},
            137,
            "Run 6d0f7a11 was terminated: signal 9",
        ),
        (
            {"status": "terminated", "exit_status": 0, "reason": "stopped"},
            1,
            "Run 6d0f7a11 was terminated: stopped",
        ),
        (
            {"status": "error", "reason": "could not start: no such file"},
            1,
            "Run 6d0f7a11 ended in error: could not start: no such file",
        ),
        ({"status": "staged"}, 1, "Run 6d0f7a11 is staged; `runctl start 6d0f7a11` starts it"),
    ],
)
def test_each_end_has_its_exit_status_and_line(attrs: dict[str, Any], status: int, line: str | None) -> None:
    assert (run_exit_status(a_run(**attrs)), ending_line(a_run(**attrs))) == (status, line)


@given(st.text(alphabet="aé漢\u0301", max_size=30), st.integers(1, 20))
def test_a_cut_text_fits_and_a_short_one_stays(text: str, width: int) -> None:
    assert columns(cut(text, width)) <= width
    assert cut(text, width) == text or columns(text) > width


def test_a_list_is_aligned_and_only_a_terminal_cuts_it() -> None:
    runs = [a_run(), a_run(operation="a long name", status="error", reason="exit 3", flags={"text": "word " * 30})]
    whole = run_lines(runs, None)
    narrow = run_lines(runs, 60)
    assert len({line.index(word) for line, word in zip(whole, ("status", "completed", "error"), strict=True)}) == 1
    assert "error (exit 3)" in whole[2]
    assert whole[2].endswith('word word "')
    assert max(map(len, narrow)) == 60
    assert narrow[2].endswith("…")


def test_a_line_of_a_run_stays_one_line() -> None:
    (_, line) = run_lines([a_run(operation="two\nlines\x1b[31m")], None)
    assert "\n" not in line
    assert "\x1b" not in line


@given(st.text())
def test_plain_text_moves_no_cursor(text: str) -> None:
    assert all(letter.isprintable() or letter == "\n" for letter in plain(text))


def test_more_than_twenty_runs_become_a_count() -> None:
    ids = [f"{number:032x}" for number in range(25)]
    assert counted(ids[:20]).split() == ["00000000"] * 20
    assert counted(ids).endswith(" and 5 more")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (59.6, "1 min 0 s"),
        (12.2, "12 s"),
        (185, "3 min 5 s"),
        (7620, "2 h 7 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(512, "512 B"), (14_890_000, "14.2 MiB"), (5 * 2**40, "5.0 TiB")])
def test_sizes_read_well(count: int, text: str) -> None:
    assert size(count) == text


def test_json_is_valid_whatever_the_numbers_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({"values": [float("nan"), float("inf"), -float("inf"), 1.0], "data": b"a\xff"})
    written = capsys.readouterr().out
    assert json.loads(written) == {"values": ["nan", "inf", "-inf", 1.0], "data": "a\ufffd"}
    assert written.count("\n") == 1


def test_a_page_tells_all_that_is_known() -> None:
    attempt: dict[str, Any] = {
        "attempt": 1,
        "status": "error",
        "reason": "exit 3",
        "flags": {},
        "random_seed": 7,
        "started": 0.0,
        "stopped": 3.25,
        "exit_status": 3,
        "signal": None,
        "command": ["python3", "echo.py"],
        "source": "abcdef0123456789",
        "commit": None,
        "host": "box",
        "user": "ann",
        "max_rss": 1024,
        "user_time": 1.0,
        "system_time": 0.5,
        "scalars": {},
    }
    operation = {"name": "echo.py", "kind": "python", "entry": "echo.py", "project_dir": "/project", "flags": []}
    run = a_run(status="error", reason="exit 3", attempts=1, label="first", tags=["p", "q"])
    page = "\n".join(
        run_page(
            {
                "run": run,
                "attempts": [attempt],  # type: ignore[list-item]  # as the wire has it
                "operation": operation,  # type: ignore[typeddict-item]
                "environment": {"PATH": b"/bin:\xff"},
                "waits_for": None,
                "batch_options": None,
                "hint": "give --input data",
            }
        )
    )
    for told in (
        "error: exit 3",
        "first",
        "p, q",
        "x=1.0",
        "python3 echo.py",
        "ann on box",
        "give --input data",
        "3.2 s",
    ):
        assert told in page
    assert "waits for" not in page
