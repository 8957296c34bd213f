"""Following a batch when events come late, attempts vanish, or events are not kept; and what is sent for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runctl.command import main

from rund.errors import NotFoundError
from tests.integration.fake_daemon import ID, FakeDaemon, a_plan, a_run, fake_daemon

BATCH = "1f2e3d4c" + "0" * 24
OTHER = "7777aaaa" + "0" * 24


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.delenv("RUND_HOME", raising=False)
    monkeypatch.setenv("RUND_SOCKET", str(tmp_path / "socket"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with fake_daemon(tmp_path / "socket") as daemon:
        yield daemon


class BatchStory:
    """A batch whose trials have all started and ended before the client first looks at events."""

    def __init__(self, daemon: FakeDaemon, *, jobs: int | None = 1) -> None:
        self.trials = {ID: a_run(status="completed", attempts=1, started=11.0)}
        self.attempts: dict[str, list[dict[str, Any]]] = {ID: []}
        self.outputs: dict[tuple[str, int], bytes] = {(ID, 1): b"out\n"}
        self.pages: list[dict[str, Any]] = []
        self.live_looks = 0
        self.status = "completed"
        self._jobs = jobs
        answer = {
            "run": self.batch("running"),
            "generation": 1,
            "trials": list(self.trials),
            "plan": a_plan(restarted=[ID]),
            "truncated": False,
            "outdated": 0,
        }
        daemon.answers |= {
            "run": answer,
            "restart": answer,
            "events": self._events,
            "wait": self._wait,
            "show": self._show,
            "output": self._output,
            "status": {"slots": 4},
            "list": {"runs": [], "total": 0, "next": None, "generation": 1},
        }

    def batch(self, status: str) -> dict[str, Any]:
        return a_run(id=BATCH, operation="echo.py+", status=status, counts={status: 1}, trial_count=1, generation=1)

    def page(self, *events: dict[str, Any], reset: bool = False) -> None:
        self.pages.append({"events": list(events), "last": len(self.pages) + 1, "reset": reset})

    def _events(self, *, after: int | None = None, **_: Any) -> dict[str, Any]:
        if after is None or after >= len(self.pages):
            return {"events": [], "last": len(self.pages) if after else 0, "reset": False}
        return self.pages[after]

    def _wait(self, *, runs: list[str], **_: Any) -> dict[str, Any]:
        for run_id in runs:
            if run_id not in (BATCH, *self.trials):
                raise NotFoundError(f"{run_id} is gone")
        return {
            "runs": [self.batch(self.status) if each == BATCH else self.trials[each] for each in runs],
            "done": True,
        }

    def _show(self, *, run: str, **_: Any) -> dict[str, Any]:
        options = {"jobs": self._jobs, "retries": 0, "fail_fast": False, "paused": False}
        return {
            "run": self.trials.get(run, self.batch(self.status)),
            "attempts": self.attempts.get(run, []),
            "slots": 1,
            "hint": None,
            "batch_options": options if run == BATCH else None,
        }

    def _output(self, *, run: str, attempt: int, offset: int, **_: Any) -> dict[str, Any]:
        if (run, attempt) not in self.outputs:
            raise NotFoundError("no such attempt")
        data = self.outputs[run, attempt][offset:]
        return {"data": data, "attempt": attempt, "offset": offset, "next": offset + len(data), "end": True}


def event(kind: str, run: str = ID, time: float = 10.0, **more: Any) -> dict[str, Any]:
    status = {"started": "running", "ended": "completed"}.get(kind)
    return {
        "kind": kind,
        "runs": [run],
        "time": time,
        "status": status,
        "reason": None,
        "batch": BATCH,
        "generation": None,
    } | more


LISTED = event("trials", BATCH, generation=1)
AT_REST = event("ended", BATCH, batch=None)


def test_attempts_are_told_apart_however_late_their_events_are_read(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = BatchStory(daemon)
    story.trials[ID] |= {"attempts": 3, "started": 31.0}
    story.attempts[ID] = [
        {"attempt": number, "status": status, "started": 10.0 * number + 1, "stopped": 10.0 * number + 5}
        for number, status in ((1, "completed"), (2, "error"), (3, "completed"))
    ]
    story.outputs = {(ID, 1): b"old\n", (ID, 2): b"two\n", (ID, 3): b"three\n"}
    story.page(event("ended", time=15.0), LISTED, event("started", time=20.0))
    story.page(event("ended", time=25.0, status="error", reason="exit 3"), event("queued", time=25.0))
    story.page(event("started", time=30.0), event("ended", time=35.0), AT_REST)
    assert main(["restart", "1f2e"]) == 0
    written = capfd.readouterr()
    assert written.out == "two\nthree\n"
    assert written.err.splitlines() == [
        "Restarting trial 6d0f7a11 (x=1.0, y=2, z=a)",
        "Running trial 6d0f7a11: echo.py (x=1.0, y=2, z=a)",
        "Trial 6d0f7a11 ended in error: exit 3",
        "Running trial 6d0f7a11: echo.py (x=1.0, y=2, z=a)",
        "Batch 1f2e3d4c: 1 completed",
    ]


def test_an_attempt_that_never_ran_and_a_trial_that_is_deleted_are_left_out(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = BatchStory(daemon, jobs=None)
    gone = "99990000" + "0" * 24
    story.trials[OTHER] = a_run(id=OTHER, status="pending", attempts=1)
    story.page(LISTED, event("started", gone), event("started", OTHER), event("started"))
    lost = "88880000" + "0" * 24  # deleted when it had ended, before its output was read
    story.trials[lost] = a_run(id=lost, status="completed", attempts=1)
    story.page(
        event("started", lost), event("ended", lost), event("queued", OTHER), event("ended", gone), event("ended")
    )
    story.page(AT_REST)
    assert main(["restart", "1f2e"]) == 0
    written = capfd.readouterr()
    assert written.out == "[6d0f7a11] out\n"
    assert "99990000" not in written.err


def test_what_ended_while_events_were_not_kept_is_shown_all_the_same(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = BatchStory(daemon)
    story.attempts[ID] = [{"attempt": 1, "status": "error", "reason": "exit 3", "started": 11.0, "stopped": 12.0}]
    story.status = "error"
    story.page(LISTED, event("started"))
    story.page(reset=True)
    assert main(["restart", "1f2e"]) == 1
    written = capfd.readouterr()
    assert written.out == "out\n"
    assert written.err.splitlines()[-2:] == ["Trial 6d0f7a11 ended in error: exit 3", "Batch 1f2e3d4c: 1 error"]


def test_a_trial_that_starts_while_it_is_looked_at_is_not_what_others_are_said_to_wait_for(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = BatchStory(daemon)
    story.trials = {each: a_run(id=each) for each in (ID, OTHER)}

    def listed(*, status: list[str], **_: Any) -> dict[str, Any]:
        runs = [run for run in story.trials.values() if run["status"] in status][:1]
        story.trials[ID]["status"] = "running"  # just after the first look
        return {"runs": runs, "total": len(runs), "next": None, "generation": 1}

    def why(*, run: str, **_: Any) -> dict[str, Any]:
        return story._show(run=run) | {"waits_for": None if run == ID else "waits for its batch"}

    daemon.answers |= {"list": listed, "show": why}
    story.page(LISTED)
    story.page()
    story.page(event("started"), event("ended"), AT_REST)
    story.page()
    assert main(["restart", "1f2e"]) == 0
    assert daemon.methods().count("list") == 2
    assert not [line for line in capfd.readouterr().err.splitlines() if line.startswith("Pending")]


def test_a_batch_that_is_deleted_meanwhile_is_followed_no_more(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    story = BatchStory(daemon)
    story.page(LISTED, AT_REST, event("deleted", BATCH))
    assert main(["restart", "1f2e"]) == 1
    assert capfd.readouterr().err.splitlines()[-1] == "Batch 1f2e3d4c was deleted"


def test_options_of_a_batch_are_sent(daemon: FakeDaemon) -> None:
    BatchStory(daemon)
    given = "--optimizer random --max-trials 5 --jobs 2 --retries 3 --fail-fast -d"
    assert main(["run", "echo.py", "@trials.csv", *given.split()]) == 0
    params = dict(daemon.asked)["run"]
    wanted = {
        "optimizer": "random",
        "max_trials": 5,
        "jobs": 2,
        "retries": 3,
        "fail_fast": True,
        "args": ["@trials.csv"],
    }
    assert wanted.items() <= params.items()
    assert main(["restart", "1f2e", "@more.csv", "--max-trials", "all", "--jobs", "all", "--no-fail-fast", "-d"]) == 0
    params = dict(daemon.asked)["restart"]
    wanted = {"max_trials": "all", "jobs": "all", "fail_fast": False, "args": ["@more.csv"], "cwd": str(Path.cwd())}
    assert wanted.items() <= params.items()
    assert main(["restart", "1f2e", "-d"]) == 0
    assert not {"fail_fast", "jobs", "max_trials", "optimizer", "retries", "rows"} & daemon.asked[-1][1].keys()


@pytest.mark.parametrize(
    "line",
    [
        "restart 1f2e --fail-fast --no-fail-fast",
        "restart 1f2e --jobs some",
        "run echo.py --jobs all",
        "run echo.py @- @trials.csv",
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_asked(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert main(line.split()) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not daemon.asked
