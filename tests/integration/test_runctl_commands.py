"""The commands that ask once: what they send, what they print, and their exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runctl import dispatch
from runctl.command import main
from runctl.exchange import Exchange

from rund.api.params import METHODS
from rund.errors import CODES
from tests.integration.fake_daemon import ID, PATIENCE, FakeDaemon, Story, a_run, fake_daemon

RUNCTL = [sys.executable, "-c", "import sys; from runctl.command import main; sys.exit(main())"]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.delenv("RUND_HOME", raising=False)
    monkeypatch.setenv("RUND_SOCKET", str(tmp_path / "socket"))
    with fake_daemon(tmp_path / "socket") as daemon:
        yield daemon


def page(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"runs": list(runs), "total": len(runs), "next": None}


@pytest.mark.parametrize(
    ("line", "method", "params"),
    [
        ("list", "list", {}),
        ("ls --status error,staged --status pending", "list", {"status": ["error", "staged", "pending"]}),
        ("list --op a.py --label l --tag=t", "list", {"operation": "a.py", "label": "l", "tag": "t"}),
        ("list -n 3 --trash", "list", {"trash": True, "limit": 3}),
        ("list --batch 1f2e --orphans", "list", {"batch": "1f2e", "orphans": True}),
        ("start 1f2e 6d0f", "start", {"runs": ["1f2e", "6d0f"]}),
        ("stop 1f2e --no-wait", "stop", {"runs": ["1f2e"]}),
        ("stop 1f2e", "wait", {"runs": [ID], "attempts": True}),
        ("wait 1f2e --timeout 2", "wait", {"runs": ["1f2e"], "timeout": 2.0}),
        ("rm 1f2e --stop", "delete", {"runs": ["1f2e"], "stop": True}),
        ("rm 1f2e --with-trials", "delete", {"runs": ["1f2e"], "stop": False, "with_trials": True}),
        ("restore 1f2e", "restore", {"runs": ["1f2e"]}),
        ("purge 1f2e", "purge", {"runs": ["1f2e"]}),
        ("purge -y", "purge", {}),
        ("label 1f2e text", "set", {"runs": ["1f2e"], "label": "text"}),
        ("tag 1f2e a -b +c", "set", {"runs": ["1f2e"], "add_tags": ["a", "c"], "remove_tags": ["b"]}),
        ("pause", "pause", {}),
        ("resume", "resume", {}),
        ("pause 1f2e", "pause", {"batch": "1f2e"}),
        ("resume 1f2e", "resume", {"batch": "1f2e"}),
        ("show @1 --env", "show", {"run": "@1", "environment": True}),
    ],
)
def test_a_command_asks_for_what_it_says(
    daemon: FakeDaemon,
    capsys: pytest.CaptureFixture[str],
    line: str,
    method: str,
    params: dict[str, Any],
) -> None:
    Story(daemon)
    run = a_run(status="completed")
    daemon.answers |= {name: {"runs": [run]} for name in ("start", "set")} | {"stop": {"runs": [run], "stopped": [ID]}}
    daemon.answers |= {name: {"runs": [ID], "left": []} for name in ("delete", "restore", "purge")}
    daemon.answers |= {"list": page(run), "pause": {"paused": True}, "resume": {"paused": False}}
    daemon.answers |= {"wait": {"runs": [run], "done": True}}
    assert main(line.split()) == 0
    assert daemon.asked[-1] == (method, params)
    assert main([*line.split(), "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out.splitlines()[-1]), dict)


def test_a_list_has_a_header_and_a_line_per_run(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["list"] = page(a_run(status="error", reason="exit 3"), a_run(status="completed"))
    assert main(["list"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "operation", "time", "status", "flags"]
    assert first.startswith("6d0f7a11  echo.py ")
    assert first.endswith("  error (exit 3)  x=1.0, y=2, z=a")
    assert second.index("completed") == header.index("status")


def test_an_empty_list_says_so_on_standard_error(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["list"] = page()
    assert main(["list"]) == 0
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", "No runs.\n")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid", 2),
        ("not-found", 4),
        ("ambiguous", 4),
        ("busy", 5),
        ("conflict", 5),
        ("unsupported", 1),
        ("full", 1),
        ("internal", 1),
    ],
)
def test_a_refusal_is_one_line_with_its_exit_status(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], code: str, status: int
) -> None:
    daemon.answers["show"] = CODES[code]("what is wrong:\nwhat to do\x1b[2J")
    assert main(["show", "6d0f"]) == status
    assert capsys.readouterr().err == "runctl: what is wrong: what to do\ufffd[2J\n"


@pytest.mark.parametrize(("status", "exit_status"), [("completed", 0), ("error", 1), ("staged", 1), ("running", 1)])
def test_wait_succeeds_only_if_all_have_completed(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], status: str, exit_status: int
) -> None:
    runs = [a_run(status="completed"), a_run(status=status)]
    daemon.answers["wait"] = {"runs": runs, "done": status != "running"}
    assert main(["wait", "6d0f", "1f2e", "--timeout", "5"]) == exit_status
    assert bool(capsys.readouterr().err) == (exit_status != 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "runctl COMMAND"),
        ("lits", "did you mean list?"),
        ("--verbose", "no option --verbose"),
        ("list extra", "list does not take 'extra'"),
        ("daemon dance", "start, stop or status"),
        ("logs 6d0f -f --attempt 1", "give one of them"),
    ],
)
def test_wrong_usage_is_told_and_gives_2(capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    assert main(line.split()) == 2
    written = capsys.readouterr()
    assert said in written.out + written.err


@pytest.mark.parametrize("line", ["--version", "--help", "-h", "list --help", "run -h x --nonsense=3 -h"])
def test_help_and_version_need_no_daemon(capsys: pytest.CaptureFixture[str], line: str) -> None:
    status = main(line.split())
    assert status == (2 if "nonsense" in line else 0)
    assert "runctl" in capsys.readouterr().out or status == 2


def test_a_name_that_is_no_text_is_refused_in_one_line(daemon: FakeDaemon) -> None:
    result = subprocess.run([*map(os.fsencode, RUNCTL), b"show", b"\xff"], capture_output=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(b"runctl: ")
    assert result.stderr.count(b"\n") == 1
    assert not daemon.asked


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_is_no_error(daemon: FakeDaemon, unbuffered: str) -> None:
    daemon.answers["list"] = page(*[a_run() for _ in range(5000)])
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen([*RUNCTL, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 141


def test_output_that_cannot_be_written_is_told(daemon: FakeDaemon) -> None:
    daemon.answers["list"] = page(a_run())
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([*RUNCTL, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "runctl: No space left on device\n")


def test_closed_streams_do_no_harm(daemon: FakeDaemon) -> None:
    daemon.answers["list"] = page(a_run())
    command = f"exec {sys.executable} -c '{RUNCTL[2]}' list <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    assert daemon.methods() == ["list"]


def test_a_list_loads_no_module_that_it_does_not_need(daemon: FakeDaemon) -> None:
    daemon.answers["list"] = page(a_run())
    script = "import sys; from runctl.command import main; main(['list']); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False, env=path()
    )
    loaded = set(result.stderr.split())
    assert "runctl.commands.listing" in loaded
    slow = {"dataclasses", "enum", "typing", "re", "argparse", "json", "pathlib", "subprocess", "logging", "socket"}
    assert not loaded & (slow | {"platformdirs", "anyio", "hashlib", "select", "contextlib", "inspect", "asyncio"})
    ours = {name for name in loaded if name.startswith("runctl.commands.")}
    assert ours == {"runctl.commands.listing"}
    assert not {name for name in loaded if name.startswith("rund.")} - {
        "rund.errors",
        "rund.model",
        "rund.model.values",
        *(name for name in loaded if name.startswith("rund.protocol")),
    }


def path() -> dict[str, str]:
    """This environment, with all that can be imported in it, for an interpreter that runs without site."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_status_says_when_the_daemon_is_of_another_version(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"pid": 1, "home": "/home", "socket": "/socket", "started": 0.0, "slots": 2, "used": 0, "paused": False}
    daemon.answers["status"] = {"version": "0.0.1", "counts": {}, "fault": None, **facts}
    monkeypatch.setattr("rund.__version__", "0.0.2")
    assert main(["status"]) == 0
    said = capsys.readouterr().err
    assert "0.0.1" in said
    assert "0.0.2" in said
    assert "runctl daemon stop" in said
    monkeypatch.setattr("rund.__version__", "0.0.1")
    assert main(["status"]) == 0
    assert capsys.readouterr().err == ""


LINES = [
    *("list", "start 1f2e", "stop 1f2e", "stop 1f2e --no-wait", "wait 1f2e", "rm 1f2e", "restore 1f2e", "purge -y"),
    *("label 1f2e text", "tag 1f2e a", "show 1f2e", "show 1f2e --env", "logs 1f2e", "logs -f 1f2e", "status", "config"),
    *("run -d echo.py", "run echo.py", "run --dry-run echo.py", "restart 1f2e", "restart -d 1f2e", "backup /tmp/copy"),
    *("daemon start", "daemon status", "daemon stop"),
]


@pytest.mark.parametrize(
    "answer", [{}, {"runs": [{}], "run": {}, "last": 0}, {"runs": 7, "run": 7}, [], None, "text"], ids=repr
)
@pytest.mark.parametrize("line", LINES)
def test_an_answer_of_another_shape_than_expected_is_told_in_one_line(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], line: str, answer: object
) -> None:
    daemon.answers = dict.fromkeys(METHODS, answer)
    assert main(line.split()) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("runctl: the daemon answered something else than expected (")
    assert "is it of another version? `runctl daemon stop` ends it" in said[0]


def test_a_daemon_that_does_not_tell_what_it_stopped_is_told_to_be_of_another_version(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["stop"] = {"runs": [a_run(status="completed")]}
    assert main(["stop", "1f2e"]) == 1
    assert "something else than expected (KeyError: 'stopped'): is it of another version?" in capsys.readouterr().err


def test_a_fault_where_no_daemon_has_answered_is_told_as_one_of_runctl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise KeyError("stopped")

    monkeypatch.setattr(Exchange, "has_answered", False)
    monkeypatch.setattr(dispatch, "find_command", fail)
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "runctl: a fault of runctl itself, please report it: KeyError: 'stopped'\n"
