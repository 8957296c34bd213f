"""An attempt that a stopped shim was handed, and has not begun, is taken back; and nothing else ever is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from rund.engine.recover import Alive, Ended, NeverRan
from rund.executor import local, shims
from rund.executor.backend import Submission
from rund.executor.facts import read_facts
from rund.executor.framing import EXIT, OUTPUT, SHIM_LOCK, STARTED, TRIAL_LOCK
from rund.executor.local import LocalBackend
from rund.executor.locks import is_held
from rund.executor.revoking import is_revoked, revoke
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


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, shims wait for the next attempt."""
    monkeypatch.setattr(shims, "IDLE", PATIENCE)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not begun is taken back soon."""
    monkeypatch.setattr(local, "BEGINS", 0.1)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not begun is waited for longer than any test."""
    monkeypatch.setattr(local, "BEGINS", 100 * PATIENCE)


def shim_of(attempt: Submission) -> int:
    started = read_facts(attempt.directory).started
    assert started is not None
    return started.shim_pid


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T"


async def next_end(backend: LocalBackend) -> dict[str, object]:
    with anyio.fail_after(PATIENCE):
        return dict(await backend.ended())


async def handed_to_a_stopped_shim(backend: LocalBackend, attempts: Attempts) -> tuple[Submission, int]:
    """An attempt, and the shim in the socket of which it waits."""
    first, second = attempts.make("true"), attempts.shell("echo ran")
    await run(backend, first)
    shim = shim_of(first)
    os.kill(shim, signal.SIGSTOP)
    # One that is just being stopped takes what it finds before it is.
    with anyio.fail_after(PATIENCE):
        while not is_stopped(shim):  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.01)
    assert await backend.submit([second]) == {}
    assert is_held(second.directory / SHIM_LOCK)
    return second, shim


@pytest.mark.usefixtures("soon")
async def test_what_a_stopped_shim_does_not_begin_is_taken_back_and_can_be_started_again(attempts: Attempts) -> None:
    async with LocalBackend() as backend:
        waiting, shim = await handed_to_a_stopped_shim(backend, attempts)
        end = (await next_end(backend))[waiting.token]
        assert isinstance(end, NeverRan)
        await gone(shim)
        again = attempts.shell("echo ran")
        await run(backend, again)
    assert not (waiting.directory / OUTPUT).exists()
    assert (again.directory / OUTPUT).read_text() == "ran\n"


@pytest.mark.usefixtures("never")
async def test_a_stop_by_the_next_daemon_takes_it_back_at_once_and_the_shim_never_begins_it(attempts: Attempts) -> None:
    async with LocalBackend() as backend:
        waiting, shim = await handed_to_a_stopped_shim(backend, attempts)
    async with LocalBackend() as backend:
        assert await backend.find({waiting.token: waiting.directory}) == {waiting.token}
        await backend.cancel([waiting.token])
        assert isinstance((await next_end(backend))[waiting.token], NeverRan)
    os.kill(shim, signal.SIGCONT)
    await gone(shim)
    assert not (waiting.directory / OUTPUT).exists()
    assert isinstance(found(waiting), NeverRan)


@pytest.mark.usefixtures("soon")
async def test_the_next_daemon_takes_it_back_after_a_while(attempts: Attempts) -> None:
    async with LocalBackend() as backend:
        waiting, shim = await handed_to_a_stopped_shim(backend, attempts)
    async with LocalBackend() as backend:
        assert await backend.find({waiting.token: waiting.directory}) == {waiting.token}
        assert isinstance((await next_end(backend))[waiting.token], NeverRan)
    os.kill(shim, signal.SIGCONT)
    await gone(shim)
    assert not (waiting.directory / OUTPUT).exists()


@pytest.mark.usefixtures("never")
async def test_what_was_taken_back_before_a_daemon_died_never_ran_for_the_next(attempts: Attempts) -> None:
    async with LocalBackend() as backend:
        waiting, shim = await handed_to_a_stopped_shim(backend, attempts)
    assert isinstance(found(waiting), Alive)
    assert revoke(waiting.directory)
    async with LocalBackend() as backend:
        assert await backend.find({waiting.token: waiting.directory}) == set()
    assert isinstance(found(waiting), NeverRan)
    assert is_held(waiting.directory / SHIM_LOCK), "nothing hinders the shim but what stands in its way"
    assert revoke(waiting.directory), "also a second time"
    os.kill(shim, signal.SIGCONT)
    await gone(shim)
    assert not (waiting.directory / OUTPUT).exists()


@pytest.mark.usefixtures("soon")
async def test_what_was_begun_is_not_taken_back(attempts: Attempts, bell: Bell) -> None:
    gate = Bell(attempts.base / "gate")
    second = attempts.shell(f"echo ready >{bell.path}; read line <{gate.path}; exit 3")
    async with LocalBackend() as backend:
        assert await backend.submit([second]) == {}
        await bell.line()
        # Only now it is looked at, as if it had been given to a shim that had another: however slow the machine is.
        backend._watched[second.token].may_wait = True
        backend._some_wait.set()
        with anyio.fail_after(PATIENCE):
            while backend._watched[second.token].may_wait:  # noqa: ASYNC110 - it tells nobody that it has looked
                await anyio.sleep(0.02)
        assert not revoke(second.directory)
        gate.ring()
        await all_ended(backend, second)
    gate.close()
    end = found(second)
    assert isinstance(end, Ended)
    assert end.reason == "exit 3"


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("left", [(SHIM_LOCK,), ()])
async def test_what_lives_without_its_records_is_not_taken_back(
    attempts: Attempts, bell: Bell, left: tuple[str, ...]
) -> None:
    attempt = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        assert await backend.submit([attempt]) == {}
        await bell.line()
        for name in {SHIM_LOCK, EXIT, STARTED, TRIAL_LOCK, OUTPUT} - set(left):
            (attempt.directory / name).unlink()
        assert not revoke(attempt.directory)
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    assert list(attempt.directory.iterdir()) == [attempt.directory / name for name in left]


def test_only_what_stands_alone_tells_that_it_was_taken_back(tmp_path: Path) -> None:
    (tmp_path / EXIT).symlink_to("elsewhere")
    assert not is_revoked(tmp_path)
    (tmp_path / EXIT).unlink()
    (tmp_path / SHIM_LOCK).touch()
    assert revoke(tmp_path)
    assert read_facts(tmp_path).revoked
    for name in (STARTED, TRIAL_LOCK, OUTPUT):
        (tmp_path / name).touch()
        assert not is_revoked(tmp_path), "somebody has put the link in the place of a record"
        (tmp_path / name).unlink()


@pytest.mark.parametrize("name", [EXIT, STARTED, TRIAL_LOCK, OUTPUT])
def test_what_left_anything_is_not_taken_back(tmp_path: Path, name: str) -> None:
    (tmp_path / SHIM_LOCK).touch()
    (tmp_path / name).touch()
    assert not revoke(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {SHIM_LOCK, name}
