"""A fork server killed at any system call, or short of something: what it was asked for runs once, or is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import anyio

from rund.engine.recover import Ended, NeverRan
from rund.executor.backend import Submission
from rund.executor.framing import SHIM_LOCK
from rund.executor.local import LocalBackend
from tests.faults.kill_points import KillPoint, kill_points, require_strace, tracer
from tests.faults.locks_freed import wait_until_free
from tests.integration.attempts import (
    PATIENCE,
    Attempts,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    found,
)

SCRIPT = "echo ran; exit 3"


async def submit_all(attempts: Sequence[Submission], launcher: Sequence[str]) -> dict[str, str]:
    """Submit one after the other, and wait for the ends of those that were not refused."""
    refused: dict[str, str] = {}
    ended: list[str] = []
    async with LocalBackend(launcher=launcher) as backend:
        with anyio.fail_after(PATIENCE):
            for attempt in attempts:
                refused |= await backend.submit([attempt])
            while len(ended) + len(refused) < len(attempts):
                ended += await backend.ended()
    assert set(ended).isdisjoint(refused)
    return refused


def is_true(attempt: Submission, refused: dict[str, str]) -> bool:
    wait_until_free(attempt.directory / SHIM_LOCK)
    finding = found(attempt)
    output = attempt.directory / "output"
    ran = output.read_text().count("ran") if output.exists() else 0
    if attempt.token in refused:
        return isinstance(finding, NeverRan) and ran == 0
    return isinstance(finding, Ended) and (finding.reason, ran) == ("exit 3", 1)


def test_whatever_call_a_fork_server_is_killed_at_each_attempt_runs_once_or_is_refused(
    attempts: Attempts, record_property: Callable[[str, object], None]
) -> None:
    require_strace()
    trace = attempts.base / "trace"
    whole = [attempts.shell(SCRIPT) for _ in range(2)]
    assert anyio.run(submit_all, whole, tracer(trace)) == {}
    points = kill_points(trace, after="poll(")
    assert {"recvmsg", "sendmsg", "pidfd_open"} <= {point.name for point in points}
    cases = [(point, [attempts.shell(SCRIPT) for _ in range(3)]) for point in points]

    def survive(case: tuple[KillPoint, list[Submission]]) -> tuple[KillPoint, list[bool], int]:
        point, submissions = case
        refused = anyio.run(submit_all, submissions, point.launcher())
        return point, [is_true(attempt, refused) for attempt in submissions], len(refused)

    with ThreadPoolExecutor(8) as threads:
        survived = list(threads.map(survive, cases))
    wrong = [case for case in survived if not all(case[1])]
    record_property("points", len(points))
    record_property("violations", len(wrong))
    assert wrong == []
    assert any(refused for *_, refused in survived), "the sweep does not reach what it is to reach"


def test_a_fork_server_without_room_for_a_leash_forks_a_shim_without_one(attempts: Attempts) -> None:
    require_strace()
    # It is the shim that needs most: a limit at which only the leash fails does not exist.
    launcher = ["strace", "-qq", "-o", os.devnull, "-e", "trace=socketpair", "-e", "inject=socketpair:error=EMFILE"]
    whole = [attempts.shell(SCRIPT) for _ in range(3)]
    assert anyio.run(submit_all, whole, launcher) == {}
    assert all(is_true(attempt, {}) for attempt in whole)
