"""A shim killed at any system call: no end is reported that was not, and nothing runs twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from rund.engine.recover import Ended, Finding, Lost, NeverRan
from rund.executor.backend import Submission
from rund.executor.framing import SHIM_LOCK, TRIAL_LOCK
from tests.faults.kill_points import KillPoint, kill_points, require_strace, tracer
from tests.faults.locks_freed import wait_until_free
from tests.integration.attempts import Attempts, attempts_fixture, found  # noqa: F401 - pytest finds the fixture here
from tests.integration.bare_shim import run_shim

SCRIPTS = {
    "plain": "echo ran; sleep 0.05; exit 3",
    "leaving": "echo ran; (setsid sleep 0.3 &); exit 3",
}


def runs(attempt: Submission) -> int:
    output = attempt.directory / "output"
    return output.read_text().count("ran") if output.exists() else 0


def is_true(finding: Finding, ran: int) -> bool:
    match finding:
        case Ended():
            return (finding.reason, ran) == ("exit 3", 1)
        case NeverRan():
            return ran == 0
        case Lost():
            return ran <= 1
        case _:
            return False


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_what_is_concluded_of_a_shim_killed_at_any_call_is_true(
    attempts: Attempts, script: str, record_property: Callable[[str, object], None]
) -> None:
    require_strace()
    trace = attempts.base / "trace"
    whole = attempts.shell(script)
    assert run_shim(whole, launcher=tracer(trace)) == 0
    assert isinstance(found(whole), Ended)
    points = kill_points(trace, after=".request")
    assert {"clone", "fsync", "flock", "pwrite64"} - {point.name for point in points} <= {"clone"}
    cases = [(point, attempts.shell(script)) for point in points]

    def conclude(case: tuple[KillPoint, Submission]) -> tuple[KillPoint, Finding, int]:
        point, attempt = case
        run_shim(attempt, launcher=point.launcher())
        for lock in (TRIAL_LOCK, SHIM_LOCK):
            wait_until_free(attempt.directory / lock)
        return point, found(attempt), runs(attempt)

    with ThreadPoolExecutor(8) as threads:
        concluded = list(threads.map(conclude, cases))
    wrong = [case for case in concluded if not is_true(*case[1:])]
    record_property("points", len(points))
    record_property("violations", len(wrong))
    assert wrong == []
    kinds = {type(finding) for _, finding, _ in concluded}
    assert kinds == {Ended, NeverRan, Lost}, "the sweep does not reach what it is to reach"


@pytest.mark.parametrize("call", ["pwrite64", "fsync"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_an_end_that_the_disk_does_not_take_is_written_when_it_does(attempts: Attempts, call: str, error: str) -> None:
    require_strace()
    attempt = attempts.shell("echo ran; exit 3")
    assert run_shim(attempt, launcher=KillPoint(call, 1).launcher(inject=f"error={error}")) == 0
    assert is_true(found(attempt), runs(attempt))
    assert isinstance(found(attempt), Ended)


def test_a_flush_of_the_end_that_failed_is_made_again_only_after_writing_again(attempts: Attempts) -> None:
    # For the kernel calls a second flush of the same bytes done, whether or not it is.
    require_strace()
    trace = attempts.base / "trace"
    attempt = attempts.shell("exit 3")
    launcher = ["strace", "-qq", "-o", str(trace), "-e", "trace=pwrite64,fsync", "-e", "inject=fsync:error=EIO:when=1"]
    assert run_shim(attempt, launcher=launcher) == 0
    calls = re.findall(r"^(pwrite64|fsync)\(.* = (?:(-1)|\d+)", trace.read_text(), re.MULTILINE)
    at = calls.index(("fsync", "-1"))
    assert calls[at - 1 :] == [("pwrite64", ""), ("fsync", "-1"), ("pwrite64", ""), ("fsync", ""), ("fsync", "")]
    assert isinstance(found(attempt), Ended)


def test_a_trial_for_which_no_process_may_be_made_never_ran(attempts: Attempts) -> None:
    require_strace()
    attempt = attempts.shell("echo ran")
    makers = "clone,clone3,vfork"
    refusing = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={makers}", "-e", f"inject={makers}:error=EAGAIN"]
    assert run_shim(attempt, launcher=refusing) == 1
    finding = found(attempt)
    assert isinstance(finding, NeverRan)
    assert "temporarily unavailable" in (finding.fault or "")
    assert runs(attempt) == 0


def test_a_stop_signals_each_process_of_the_trial_once(attempts: Attempts) -> None:
    require_strace()
    trace = attempts.base / "trace"
    # Its parent is the shim.  A second SIGTERM means "at once" to many programs.
    attempt = attempts.shell("kill -TERM $PPID; exec sleep 1000")
    assert run_shim(attempt, launcher=tracer(trace)) == 0
    sent = [line for line in trace.read_text().splitlines() if re.match(r"(kill|pidfd_send_signal)\(.*SIGTERM", line)]
    assert len(sent) == 1
