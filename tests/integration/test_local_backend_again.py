"""Shims that get another attempt: nothing of one attempt reaches the next, and whatever befalls a shim, none is lost."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import anyio
import pytest

from rund.engine.recover import Ended, NeverRan
from rund.executor import shims
from rund.executor.backend import Submission
from rund.executor.facts import read_facts
from rund.executor.local import LocalBackend
from rund.executor.shim_request import MOST_AGAIN
from rund.model.status import Status
from tests.integration.attempts import (
    PATIENCE,
    Attempts,
    Bell,
    all_ended,
    at_rest,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    descriptors,
    found,
    gone,
    run,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, shims wait for the next attempt."""
    monkeypatch.setattr(shims, "IDLE", PATIENCE)


def shim_of(attempt: Submission) -> int:
    started = read_facts(attempt.directory).started
    assert started is not None
    return started.shim_pid


def reason_of(attempt: Submission) -> str | None:
    finding = found(attempt)
    assert isinstance(finding, Ended)
    return finding.reason


def output_of(attempt: Submission) -> str:
    return (attempt.directory / "output").read_text()


async def test_one_shim_sees_many_attempts_to_their_ends_and_keeps_nothing_of_them(attempts: Attempts) -> None:
    look = "grep -c SECRET /proc/$$/environ; echo $NUMBER; pwd; exit $NUMBER"
    made = []
    for number in range(20):
        folder = attempts.base / f"folder {number}"
        folder.mkdir()
        attempt = attempts.make("sh", "-c", look, environment={"NUMBER": str(number)} | {f"SECRET{number}": "s"})
        made.append(replace(attempt, cwd=folder))
    async with LocalBackend() as backend:
        opened: set[int] = set()
        for attempt in made:
            await run(backend, attempt)
            opened.add(len(descriptors(shim_of(attempt))))
    assert len({shim_of(attempt) for attempt in made}) == 1
    assert len(opened) == 1
    for number, attempt in enumerate(made):
        assert output_of(attempt).splitlines() == ["1", str(number), str(attempts.base / f"folder {number}")]
        assert reason_of(attempt) == (f"exit {number}" if number else None)


async def test_what_an_attempt_used_and_left_behind_is_not_the_next_ones(attempts: Attempts) -> None:
    busy = attempts.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; (trap '' TERM; sleep 1000) &")
    async with LocalBackend() as backend:
        await run(backend, replace(busy, grace=0.1))
        again = attempts.make("true")
        await run(backend, again)
    assert shim_of(again) == shim_of(busy)
    much, little = found(busy), found(again)
    assert isinstance(much, Ended)
    assert isinstance(little, Ended)
    assert little.usage.user_time + little.usage.system_time < much.usage.user_time + much.usage.system_time
    assert little.started >= much.stopped


@pytest.mark.parametrize("argv", [("/no/such/program",), ("sh", "-c", "kill -9 $$"), ("sh", "-c", "exit 3")])
async def test_a_shim_goes_on_after_an_attempt_that_ended_badly(attempts: Attempts, argv: tuple[str, ...]) -> None:
    first, second = attempts.make(*argv), attempts.shell("echo ran")
    async with LocalBackend() as backend:
        await run(backend, first)
        await run(backend, second)
    assert shim_of(first) == shim_of(second)
    assert output_of(second) == "ran\n"


async def test_a_shim_that_was_told_to_stop_gets_no_other_attempt(attempts: Attempts, bell: Bell) -> None:
    first = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    second = attempts.shell("echo ran")
    async with LocalBackend() as backend:
        assert await backend.submit([first]) == {}
        await bell.line()
        await backend.cancel([first.token])
        await all_ended(backend, first)
        await run(backend, second)
        await gone(shim_of(first))
    assert reason_of(first) == "stopped"
    assert shim_of(first) != shim_of(second)
    assert output_of(second) == "ran\n"


async def test_an_attempt_is_stopped_in_a_shim_that_had_another(attempts: Attempts, bell: Bell) -> None:
    second = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        assert await backend.submit([second]) == {}
        await bell.line()
        await backend.cancel([second.token])
        await all_ended(backend, second)
    finding = found(second)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason) == (Status.TERMINATED, "stopped")


async def test_a_shim_killed_without_an_attempt_leaves_the_next_one_to_another(attempts: Attempts) -> None:
    first, second = attempts.make("true"), attempts.shell("echo ran")
    async with LocalBackend() as backend:
        await run(backend, first)
        os.kill(shim_of(first), signal.SIGKILL)
        await gone(shim_of(first))
        await run(backend, second)
    assert shim_of(first) != shim_of(second)
    assert output_of(second) == "ran\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_attempt_that_a_signalled_shim_had_not_taken_never_ran(
    attempts: Attempts, number: signal.Signals
) -> None:
    first, second, third = attempts.make("true"), attempts.shell("echo ran"), attempts.shell("echo ran")
    async with LocalBackend() as backend:
        await run(backend, first)
        shim = shim_of(first)
        os.kill(shim, signal.SIGSTOP)
        assert await backend.submit([second]) == {}
        # Another process than the one that hands over: a SIGTERM of that is a stop of what it has handed over.
        await anyio.run_process(["sh", "-c", f"kill -{number.value} {shim}; kill -CONT {shim} || :"])
        with anyio.fail_after(PATIENCE):
            assert await backend.ended() == {second.token: NeverRan()}
        await run(backend, third)
    assert not (second.directory / "output").exists()
    assert output_of(third) == "ran\n"


async def test_a_long_request_gets_a_new_shim_and_the_others_are_kept(attempts: Attempts) -> None:
    first, last = attempts.make("true"), attempts.make("true")
    large = attempts.make("sh", "-c", "echo ${#LARGE}", environment={"LARGE": "x" * MOST_AGAIN})
    async with LocalBackend() as backend:
        await run(backend, first)
        await run(backend, large)
        await run(backend, last)
    assert output_of(large) == f"{MOST_AGAIN}\n"
    assert shim_of(large) != shim_of(first)
    assert shim_of(last) == shim_of(first), "what a long request took of memory would count as the next one's"


async def test_a_request_of_the_greatest_length_comes_through(attempts: Attempts) -> None:
    first = attempts.make("true")
    # With a PATH of its own, for this machine's may be long.
    environment = {"PATH": "/usr/bin:/bin", "LARGE": "x" * (MOST_AGAIN - 1_000)}
    second = attempts.make("sh", "-c", "echo ${#LARGE}", environment=environment)
    async with LocalBackend() as backend:
        await run(backend, first)
        await run(backend, second)
    assert output_of(second) == f"{MOST_AGAIN - 1_000}\n"
    assert shim_of(first) == shim_of(second)


async def test_a_shim_sees_a_bounded_number_of_attempts(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shims, "MOST_ATTEMPTS", 2)
    made = [attempts.make("true") for _ in range(5)]
    async with LocalBackend() as backend:
        for attempt in made:
            await run(backend, attempt)
    one, other, *_ = pids = [shim_of(attempt) for attempt in made]
    assert one == other
    assert len(set(pids)) == 3


async def test_shims_without_an_attempt_are_let_go_after_a_while(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shims, "IDLE", 0.1)
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        await at_rest(backend)
        before = len(descriptors())
        await run(backend, *(attempts.make("true") for _ in range(8)))
        await at_rest(backend)
        assert len(descriptors()) == before


async def test_a_shim_whose_daemon_is_gone_ends_with_its_attempt(attempts: Attempts, bell: Bell) -> None:
    gate = Bell(attempts.base / "gate")
    first = attempts.make("true")
    second = attempts.shell(f"echo ready >{bell.path}; read line <{gate.path}; exit 3")
    async with LocalBackend() as backend:
        await run(backend, first)
        assert await backend.submit([second]) == {}
        await bell.line()
    gate.ring()
    await gone(shim_of(second))
    gate.close()
    assert shim_of(first) == shim_of(second)
    assert reason_of(second) == "exit 3"


async def test_an_attempt_of_a_shim_that_had_another_is_adopted(attempts: Attempts, bell: Bell) -> None:
    second = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        assert await backend.submit([second]) == {}
        await bell.line()
    async with LocalBackend() as backend:
        assert await backend.find({second.token: second.directory}) == {second.token}
        await backend.cancel([second.token])
        await all_ended(backend, second)
        await gone(shim_of(second))
    assert reason_of(second) == "stopped"


async def test_shims_go_on_when_the_fork_server_was_killed(attempts: Attempts) -> None:
    first, second = attempts.make("true"), attempts.make("true")
    async with LocalBackend() as backend:
        await run(backend, first)
        assert backend.fork_server_pid is not None
        os.kill(backend.fork_server_pid, signal.SIGKILL)
        await run(backend, second)
    assert shim_of(first) == shim_of(second)


async def test_a_stop_of_an_attempt_that_its_shim_had_not_taken_ends_it_unexecuted(attempts: Attempts) -> None:
    first, second = attempts.make("true"), attempts.shell("echo ran")
    async with LocalBackend() as backend:
        await run(backend, first)
        os.kill(shim_of(first), signal.SIGSTOP)
        assert await backend.submit([second]) == {}
        await backend.cancel([second.token])
        await all_ended(backend, second)
    assert reason_of(second) == "stopped"
    assert output_of(second) == ""
