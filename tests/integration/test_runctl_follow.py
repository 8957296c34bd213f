"""`runctl run`, `restart` and `logs -f`: what is said, what is copied, and the exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runctl.command import main

from rund.errors import InvalidError
from tests.integration.fake_daemon import ID, PATIENCE, FakeDaemon, Story, a_plan, fake_daemon

RUNNING = "Running 6d0f7a11: echo.py (x=1.0, y=2, z=a)\n"


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.delenv("RUND_HOME", raising=False)
    monkeypatch.setenv("RUND_SOCKET", str(tmp_path / "socket"))
    with fake_daemon(tmp_path / "socket") as daemon:
        yield daemon


def makes(daemon: FakeDaemon, story: Story, **plan: Any) -> None:
    """The daemon's answer to ``run`` and ``restart``: the run of the story."""
    answer = lambda **_: {"run": story.run, "generation": None, "trials": None, "plan": a_plan(**plan)}  # noqa: E731
    daemon.answers |= {"run": answer, "restart": answer}


def run_at_once(daemon: FakeDaemon, output: bytes, **end: Any) -> Story:
    """A story of a run that starts when it is first looked at, writes, and ends."""
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    answers = daemon.answers["events"]

    def events(**params: Any) -> Any:
        if params.get("after") == 0:
            story.tell(status="running", attempts=1, output=output)
            story.tell(**end)
        return answers(**params)

    daemon.answers["events"] = events
    return story


def test_a_run_is_followed_to_its_end(daemon: FakeDaemon, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run_at_once(daemon, b"1.0 2 'a'\n\xff\x1b[0m\n", status="completed", exit_status=0)
    assert main(["run", "echo.py", "x=1", "y=-2", "--label", "first"]) == 0
    written = capfdbinary.readouterr()
    assert written.out == b"1.0 2 'a'\n\xff\x1b[0m\n"
    assert written.err.decode() == RUNNING
    params = dict(daemon.asked)["run"]
    assert params["operation"] == "echo.py"
    assert params["args"] == ["x=1", "y=-2"]
    assert params["label"] == "first"
    assert params["cwd"] == str(Path.cwd())
    assert params["env"]["PATH"]
    assert "subscribe" not in daemon.methods()


@pytest.mark.parametrize(
    ("end", "status", "line"),
    [
        ({"status": "error", "exit_status": 3, "reason": "exit 3"}, 3, "Run 6d0f7a11 ended in error: exit 3\n"),
        ({"status": "terminated", "signal": 9, "reason": "signal 9"}, 137, "Run 6d0f7a11 was terminated: signal 9\n"),
        ({"status": "terminated", "exit_status": 0, "reason": "stopped"}, 1, "Run 6d0f7a11 was terminated: stopped\n"),
    ],
)
def test_a_run_that_does_not_complete_gives_its_own_status_and_says_why(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], end: dict[str, Any], status: int, line: str
) -> None:
    story = run_at_once(daemon, b"", **end)
    story.hint = "give --input data.csv"
    assert main(["run", "echo.py"]) == status
    assert capsys.readouterr().err == RUNNING + line + "give --input data.csv\n"


def test_of_a_run_that_waits_for_nothing_but_its_start_nothing_is_said(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    shows, seen = daemon.answers["show"], 0

    def start_when_looked_at(**params: Any) -> Any:
        nonlocal seen
        seen += 1
        answer = shows(**params)
        if seen == 2:  # it has been pending for a while
            story.tell(status="running", attempts=1, output=b"out\n")
            story.tell(status="completed")
        return answer

    daemon.answers["show"] = start_when_looked_at
    assert main(["run", "echo.py"]) == 0
    assert capsys.readouterr().err == RUNNING


def test_a_run_that_waits_says_for_what_and_once(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    story.waits_for = "waits for a slot"
    events = daemon.answers["events"]

    def start_later(**params: Any) -> Any:
        if params.get("timeout", 0) > 1:  # it has been said
            if len(story.events) < 2:
                story.tell(label="changed")
            else:
                story.tell(status="running", attempts=1, output=b"out\n")
                story.tell(status="completed")
        return events(**params)

    daemon.answers["events"] = start_later
    assert main(["run", "echo.py"]) == 0
    assert capsys.readouterr().err == "Pending 6d0f7a11: waits for a slot\n" + RUNNING


def test_following_goes_on_when_the_run_is_restarted_by_others(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    story.tell(status="running", attempts=1, output=b"one\n")
    answers = daemon.answers["output"]

    def output(**params: Any) -> Any:
        if params["attempt"] == 1 and params["offset"] == 4:
            story.tell(status="error", exit_status=3)
            story.tell(status="running", attempts=2, output=b"two\n")
        elif params["attempt"] == 2 and params["offset"] == 4:
            story.tell(status="completed")
        return answers(**params)

    daemon.answers["output"] = output
    assert main(["run", "echo.py"]) == 0
    written = capfd.readouterr()
    assert (written.out, written.err) == ("one\ntwo\n", RUNNING * 2)


def test_no_attempt_is_missed_however_soon_it_is_over(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    story = run_at_once(daemon, b"one\n", status="error", exit_status=3)
    answers = daemon.answers["show"]

    def show(**params: Any) -> Any:
        if story.run["attempts"] == 1:
            story.tell(status="running", attempts=2, output=b"two\n")
            story.tell(status="completed")
        return answers(**params)

    daemon.answers["show"] = show
    assert main(["run", "echo.py"]) == 0
    written = capfd.readouterr()
    assert (written.out, written.err) == ("one\ntwo\n", RUNNING * 2)


def test_a_restart_shows_nothing_of_earlier_attempts(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    story.tell(status="running", reason="stopping", attempts=1, output=b"old\n")
    makes(daemon, story, restarted=[ID])
    answers = daemon.answers["events"]

    def events(**params: Any) -> Any:
        if params.get("after") == 1:
            story.tell(status="running", reason=None, attempts=2, output=b"new\n")
            story.tell(status="completed")
        return answers(**params)

    daemon.answers["events"] = events
    assert main(["restart", "6d0f", "x=1"]) == 0
    assert capfd.readouterr().out == "new\n"


def test_a_restart_that_is_withdrawn_is_no_success(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon, attempts=1)
    makes(daemon, story, restarted=[ID])
    answers = daemon.answers["events"]

    def events(**params: Any) -> Any:
        if params.get("after") == 0:
            story.tell(status="completed", exit_status=0)
        return answers(**params)

    daemon.answers["events"] = events
    assert main(["restart", "6d0f"]) == 1
    assert capsys.readouterr().err == "Run 6d0f7a11 was withdrawn before it started\n"


def test_a_restart_that_is_skipped_says_so_and_is_done(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    makes(daemon, Story(daemon, status="completed", attempts=1), skipped=[ID])
    assert main(["restart", "6d0f", "--needed"]) == 0
    said = "Skipping 6d0f7a11 because it is completed and its flags have not changed (--needed)\n"
    assert capsys.readouterr().err == said
    assert daemon.asked[-1][1]["needed"] is True


def test_detached_prints_the_short_id_and_nothing_else(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    makes(daemon, Story(daemon), created=[ID])
    assert main(["run", "-d", "echo.py"]) == 0
    written = capsys.readouterr()
    assert (written.out, written.err) == ("6d0f7a11\n", "")


def test_a_dry_run_says_what_would_be_made(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    plan = a_plan(created=[{"x": 1.0, "y": 2}])
    daemon.answers |= {"events": {"last": 0}, "run": {"run": None, "plan": plan}}
    assert main(["run", "echo.py", "--dry-run"]) == 0
    assert capsys.readouterr().err == "Would make a run (x=1.0, y=2)\n"


def test_logs_write_what_is_there_and_end(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    story.tell(status="running", attempts=1, output=b"one\ntwo\nthree\n")
    assert main(["logs", "6d0f"]) == 0
    assert capfd.readouterr().out == "one\ntwo\nthree\n"
    for tail, wanted in ((0, ""), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")):
        assert main(["logs", "6d0f", "--tail", str(tail)]) == 0
        assert capfd.readouterr().out == wanted


def test_a_tail_is_found_however_far_back_it_begins(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    text = "".join(f"{number:06d}\n" for number in range(30_000))
    story.tell(status="running", attempts=1, output=text.encode())
    answers = daemon.answers["output"]

    def output(*, limit: int, **params: Any) -> Any:
        part = answers(**params)
        data = part["data"][:limit]
        return part | {"data": data, "next": part["offset"] + len(data), "end": False}

    daemon.answers["output"] = output
    assert main(["logs", "6d0f", "--tail", "20000"]) == 0
    assert capfd.readouterr().out == text[-20_000 * 7 :]


def test_logs_of_a_run_that_is_over_end_with_its_status(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    story.tell(status="running", attempts=1, output=b"one\n")
    story.tell(status="error", exit_status=4, reason="exit 4")
    assert main(["logs", "-f", "6d0f"]) == 4
    written = capfd.readouterr()
    assert (written.out, written.err) == ("one\n", "Run 6d0f7a11 ended in error: exit 4\n")


def test_ctrl_c_detaches_and_stops_nothing(daemon: FakeDaemon, tmp_path: Path) -> None:
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    story.tell(status="running", attempts=1, output=b"one\n")
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from runctl.command import main; sys.exit(main())", "run", "echo.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=dict(os.environ),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, b"")
    assert (
        err.decode() == RUNNING + "Detached from 6d0f7a11, which goes on: `runctl logs -f 6d0f7a11` comes back to it\n"
    )
    assert "stop" not in daemon.methods()
    story.tell(status="completed")


@pytest.mark.parametrize("command", [["run", "echo.py"], ["restart", "6d0f"]])
def test_ctrl_c_before_the_answer_says_that_it_may_be_done(
    daemon: FakeDaemon, tmp_path: Path, command: list[str]
) -> None:
    Story(daemon)
    asked, over = threading.Event(), threading.Event()

    def answer(**_: Any) -> Any:
        asked.set()
        over.wait(PATIENCE)
        raise InvalidError("it took too long")

    daemon.answers |= {"run": answer, "restart": answer}
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from runctl.command import main; sys.exit(main())", *command],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=dict(os.environ),
    )
    with process:
        assert asked.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    over.set()
    assert process.returncode == 130, err
    assert err.decode() == (
        "Interrupted before the daemon had answered: it may do it all the same, `runctl list` shows it then\n"
    )


def test_a_daemon_that_goes_tells_how_to_come_back(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(daemon)
    makes(daemon, story, created=[ID])
    story.tell(status="running", attempts=1)
    story.on_output = lambda _: daemon.hang_up()
    assert main(["run", "echo.py"]) == 3
    assert "the daemon is gone; 6d0f7a11 goes on: `runctl logs -f 6d0f7a11`" in capsys.readouterr().err
    story.tell(status="completed")
