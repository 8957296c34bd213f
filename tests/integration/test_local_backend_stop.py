"""Stopping ends an attempt and all that it started, also what outlived its shim."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys

import anyio
import pytest

from rund.engine.recover import Alive, Ended, Lost
from rund.executor import local, looking
from rund.executor.backend import State, Submission
from rund.executor.facts import read_facts
from rund.executor.local import LocalBackend
from rund.model.facts import StartRecord
from rund.model.status import Status
from tests.integration.attempts import (
    PATIENCE,
    Attempts,
    Bell,
    all_ended,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    found,
    gone,
    run,
)

pytestmark = pytest.mark.anyio

# Says READY by the bell, then waits for ever and lets SIGTERM pass it by.
STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', file=open(sys.argv[1], 'w'), flush=True); signal.pause(); signal.pause()"
)


def started(attempt: Submission) -> StartRecord:
    record = read_facts(attempt.directory).started
    assert record is not None
    return record


async def test_a_stop_ends_a_trial_and_its_setsid_grandchild_that_both_ignore_it_within_the_grace_time(
    attempts: Attempts, bell: Bell
) -> None:
    stubborn = f'{sys.executable} -I -c "{STUBBORN}" {bell.path}'
    attempt = attempts.shell(f"trap '' TERM; (setsid {stubborn} &); {stubborn}; {stubborn}", grace=0.5)
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        assert [await bell.line(), await bell.line()] == ["ready", "ready"]
        begun = anyio.current_time()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
        took = anyio.current_time() - begun
        assert attempts.left() == set()
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason, finding.signal) == (Status.TERMINATED, "stopped", 9)
    assert took >= 0.5  # and not for ever, which is how long they would live


async def test_a_trial_that_catches_the_stop_and_exits_0_is_terminated_and_was_told_once(
    attempts: Attempts, bell: Bell
) -> None:
    code = (
        "import os, signal, sys\n"
        # Blocked: one that came just before it was waited for would be slept through.
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "print('ready', file=open(sys.argv[1], 'w'), flush=True)\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "os.write(1, b'told ')\n"
        "while signal.sigtimedwait({signal.SIGTERM}, 0.3): os.write(1, b'again ')\n"
    )
    attempt = attempts.make(sys.executable, "-I", "-c", code, str(bell.path))
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason, finding.exit_status) == (Status.TERMINATED, "stopped", 0)
    assert (attempt.directory / "output").read_text() == "told "


async def test_a_grandchild_in_a_session_of_its_own_has_its_grace_time_too(attempts: Attempts, bell: Bell) -> None:
    apart = f"trap 'echo told; exit' TERM; echo ready >{bell.path}; while :; do sleep 0.05; done"
    attempt = attempts.shell(f'setsid sh -c "{apart}" & wait')
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    assert "told" in (attempt.directory / "output").read_text().split()


async def test_a_trial_has_its_grace_time_also_when_its_shell_ends_at_once(attempts: Attempts, bell: Bell) -> None:
    slow = (
        f"trap 'echo saving; sleep 0.5; echo saved; exit' TERM; echo ready >{bell.path}; while :; do sleep 0.05; done"
    )
    attempt = attempts.shell(f'sh -c "{slow}" & wait')
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    assert (attempt.directory / "output").read_text().split()[-1] == "saved"


async def test_a_stopped_process_sees_the_stop(attempts: Attempts, bell: Bell) -> None:
    # The child stops its parent before it says so.
    child = f"kill -STOP $PPID; echo ready >{bell.path}"
    attempt = attempts.shell(f"trap 'exit 5' TERM; sh -c '{child}' & wait; wait; sleep 1000")
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.reason, finding.exit_status) == ("stopped", 5)


async def test_a_stop_right_after_the_submission_ends_it_whatever_it_had_come_to(attempts: Attempts) -> None:
    many = [attempts.shell("exec sleep 1000") for _ in range(40)]
    async with LocalBackend() as backend:
        for attempt in many:
            assert await backend.submit([attempt]) == {}
            await backend.cancel([attempt.token])
        await all_ended(backend, *many)
    for attempt in many:
        finding = found(attempt)
        assert isinstance(finding, Ended)
        assert (finding.status, finding.reason) == (Status.TERMINATED, "stopped")


async def test_a_stop_after_the_end_or_of_an_unknown_token_is_nothing(attempts: Attempts) -> None:
    attempt = attempts.shell("exit 3")
    async with LocalBackend() as backend:
        await run(backend, attempt)
        await backend.cancel([attempt.token, "never-heard-of"])
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert finding.reason == "exit 3"


async def test_what_a_trial_leaves_behind_is_ended_after_its_end_and_the_record_is_of_the_trial(
    attempts: Attempts, bell: Bell
) -> None:
    stubborn = f'{sys.executable} -I -c "{STUBBORN}" {bell.path}'
    attempt = attempts.shell(f"(setsid {stubborn} &); read line <{bell.path}; exit 3", grace=0.2)
    async with LocalBackend() as backend:
        await run(backend, attempt)
        assert attempts.left() == set()
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason) == (Status.ERROR, "exit 3")


async def test_interrupts_of_the_terminal_and_hangups_mean_nothing_to_a_shim_and_the_fork_server(
    attempts: Attempts, bell: Bell
) -> None:
    attempt = attempts.shell(f"echo ready >{bell.path}; read line <{bell.path}2; exit 3")
    other = Bell(bell.path.with_name("bell2"))
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        server = backend.fork_server_pid
        assert server is not None
        for pid in (started(attempt).shim_pid, server):
            assert os.getsid(pid) == pid
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
                os.kill(pid, number)
        other.ring()
        await all_ended(backend, attempt)
        await run(backend, attempts.make("true"))
        assert backend.fork_server_pid == server
    other.close()
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert finding.reason == "exit 3"


async def test_a_killed_shim_is_lost_only_after_the_processes_of_its_trial_are_gone(
    attempts: Attempts, bell: Bell
) -> None:
    attempt = attempts.shell(f"echo ready >{bell.path}; read line <{bell.path}2; exit 0")
    other = Bell(bell.path.with_name("bell2"))
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        shim = started(attempt).shim_pid
        os.kill(shim, signal.SIGKILL)
        await gone(shim)
        with anyio.move_on_after(0.3) as waited:
            await backend.ended()
        assert waited.cancelled_caught
        assert isinstance(found(attempt), Alive)
        assert await backend.snapshot() == {attempt.token: State.ALIVE}
        other.ring()
        await all_ended(backend, attempt)
    other.close()
    assert found(attempt) == Lost(reason="lost: its supervisor was killed")


async def test_a_stop_ends_the_processes_that_outlived_their_shim_also_stubborn_ones(
    attempts: Attempts, bell: Bell
) -> None:
    gentle = attempts.shell(f"trap 'echo told; exit' TERM; echo ready >{bell.path}; while :; do sleep 0.05; done")
    stubborn = attempts.make(sys.executable, "-I", "-c", STUBBORN, str(bell.path), grace=0.3)
    async with LocalBackend() as backend:
        assert await backend.submit([gentle, stubborn]) == {}
        await bell.line()
        await bell.line()
        for attempt in (gentle, stubborn):
            os.kill(started(attempt).shim_pid, signal.SIGKILL)
            await gone(started(attempt).shim_pid)
        await backend.cancel([gentle.token, stubborn.token])
        with anyio.fail_after(PATIENCE):
            await all_ended(backend, gentle, stubborn)
    assert "told" in (gentle.directory / "output").read_text().split()


async def test_what_outlived_its_shim_is_stopped_although_it_cannot_be_looked_for_at_first(
    attempts: Attempts, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempts.make(sys.executable, "-I", "-c", STUBBORN, str(bell.path), grace=0.3)
    failed: list[str] = []

    def failing_once(name: str) -> None:
        function = getattr(looking, name)

        def called(*args: object) -> object:
            if name not in failed:
                failed.append(name)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc")
            return function(*args)

        monkeypatch.setattr(looking, name, called)

    failing_once("signal_orphans")
    failing_once("kill_orphans")
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        os.kill(started(attempt).shim_pid, signal.SIGKILL)
        await gone(started(attempt).shim_pid)
        await backend.cancel([attempt.token])
        with anyio.fail_after(PATIENCE):
            await all_ended(backend, attempt)
    assert failed == ["signal_orphans", "kill_orphans"]


async def test_forking_all_the_time_does_not_escape_a_stop(attempts: Attempts, bell: Bell) -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', file=open(sys.argv[1], 'w'), flush=True)\n"
        # Not for ever: if the shim is at fault nothing else could end it.
        "end = time.monotonic() + 50\n"
        "while time.monotonic() < end:\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
        "os.write(1, b'by itself')\n"
    )
    attempt = attempts.shell(f'{sys.executable} -I -c "{code}" {bell.path}; sleep 1000', grace=0.1)
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
        assert attempts.left() == set()
    assert (attempt.directory / "output").read_bytes() == b""


@pytest.mark.parametrize("fails", ["nothing", "no descriptor", "no look"])
async def test_a_trial_whose_execution_hangs_is_ended_after_its_grace_time(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    look, failed = local.end_hanging_execution, []

    def fail_once(pidfd: int) -> None:
        """Stands for a look for which there are no descriptors."""
        if fails == "nothing" or failed:
            look(pidfd)
        else:
            failed.append(pidfd)
            if fails == "no descriptor":
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(local, "end_hanging_execution", fail_once)
    found_at = shutil.which("sleep")
    assert found_at is not None
    program = attempts.base / "hangs"
    shutil.copy(found_at, program)
    attempt = attempts.make(str(program), "1000", grace=0.2)
    # A lease makes whoever opens the file wait, for most of a minute: as a file system does that does not answer.
    with program.open("r+b") as file, anyio.open_signal_receiver(signal.SIGIO) as opened:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system has no leases: {error}")
        async with LocalBackend() as backend:
            assert await backend.submit([attempt]) == {}
            with anyio.fail_after(PATIENCE):
                await anext(opened)
            await backend.cancel([attempt.token])
            await all_ended(backend, attempt)
    finding = found(attempt)
    assert isinstance(finding, Ended)
    # It was killed before it was executed: afterwards SIGTERM would have ended it.
    assert (finding.status, finding.reason, finding.signal) == (Status.TERMINATED, "stopped", signal.SIGKILL)
