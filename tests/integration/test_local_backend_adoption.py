"""A daemon that comes back takes back what is alive, and finds the true ends of what is not."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from rund.engine.recover import Ended, NeverRan, recover
from rund.executor.facts import read_facts
from rund.executor.framing import SHIM_LOCK, STARTED, frame_fields
from rund.executor.local import LocalBackend
from rund.executor.locks import boot_id, hold_new
from rund.executor.processes import start_time
from tests.integration.attempts import (
    PATIENCE,
    Attempts,
    Bell,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    children,
)

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@contextmanager
def killed_daemon(attempts: Attempts, *scripts: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in a process of its own that has submitted ``scripts``; killed at the end at the latest."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.a_daemon", str(attempts.base), attempts.mark, *scripts],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"MARK": attempts.mark},
    )
    with daemon:
        try:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == b"refused {}\n"
            yield daemon
        finally:
            below = [os.pidfd_open(pid) for pid in children(daemon.pid)]
            daemon.kill()
            for server in below:  # it ends when it sees that its daemon has gone, which may take a while
                assert select.select([server], [], [], PATIENCE)[0]
                os.close(server)


def submitted(attempts: Attempts, number: int) -> Path:
    """The directory of an attempt of the daemon."""
    return attempts.base / f"{number}-{attempts.mark}"


async def ends(backend: LocalBackend, count: int) -> list[str]:
    tokens: list[str] = []
    with anyio.fail_after(PATIENCE):
        while len(tokens) < count:
            tokens += await backend.ended()
    return sorted(tokens)


def reason(directory: Path) -> str | None:
    finding = recover(read_facts(directory))
    assert isinstance(finding, Ended)
    return finding.reason


async def test_a_second_daemon_takes_back_what_runs_and_gets_true_ends_of_all(attempts: Attempts, bell: Bell) -> None:
    go = Bell(bell.path.with_name("go"))
    running = f"echo ready >{bell.path}; read line <{go.path}; exit 3"
    ended = f"echo ready >{bell.path}; exit 4"
    with killed_daemon(attempts, running, ended, "exit 137"):
        assert [await bell.line(), await bell.line()] == ["ready", "ready"]
    directories = {str(number): submitted(attempts, number) for number in range(3)}
    async with LocalBackend() as backend:
        alive = await backend.find(directories)
        assert "0" in alive
        go.ring()
        assert await ends(backend, len(alive)) == sorted(alive)
        assert await backend.find(directories) == set()
    go.close()
    assert [reason(directory) for directory in directories.values()] == ["exit 3", "exit 4", "exit 137"]


async def test_a_taken_back_attempt_can_be_stopped(attempts: Attempts, bell: Bell) -> None:
    with killed_daemon(attempts, f"echo ready >{bell.path}; exec sleep 1000"):
        await bell.line()
    async with LocalBackend() as backend:
        assert await backend.find({"0": submitted(attempts, 0)}) == {"0"}
        await backend.cancel(["0"])
        assert await ends(backend, 1) == ["0"]
    assert reason(submitted(attempts, 0)) == "stopped"


async def test_a_stop_works_while_no_daemon_runs(attempts: Attempts, bell: Bell) -> None:
    with killed_daemon(attempts, f"echo ready >{bell.path}; exec sleep 1000"):
        await bell.line()
    directory = submitted(attempts, 0)
    started = read_facts(directory).started
    assert started is not None
    async with LocalBackend() as backend:
        assert await backend.find({"0": directory}) == {"0"}
        os.kill(started.shim_pid, signal.SIGTERM)
        assert await ends(backend, 1) == ["0"]
    assert reason(directory) == "stopped"


async def test_a_hundred_live_attempts_are_taken_back_at_once(attempts: Attempts, bell: Bell) -> None:
    scripts = [f"echo ready >{bell.path}; exec sleep 1000"] * 100
    with killed_daemon(attempts, *scripts):
        for _ in scripts:
            await bell.line()
    directories = {str(number): submitted(attempts, number) for number in range(100)}
    async with LocalBackend() as backend:
        assert await backend.find(directories) == set(directories)
        await backend.cancel(directories)
        assert await ends(backend, 100) == sorted(directories)
    assert {reason(directory) for directory in directories.values()} == {"stopped"}


async def test_processes_that_outlived_their_killed_shim_are_taken_back_and_can_be_stopped(
    attempts: Attempts, bell: Bell
) -> None:
    with killed_daemon(attempts, f"echo ready >{bell.path}; exec sleep 1000"):
        await bell.line()
        started = read_facts(submitted(attempts, 0)).started
        assert started is not None
        os.kill(started.shim_pid, signal.SIGKILL)
    async with LocalBackend() as backend:
        assert await backend.find({"0": submitted(attempts, 0)}) == {"0"}
        await backend.cancel(["0"])
        assert await ends(backend, 1) == ["0"]


async def test_what_left_nothing_is_not_alive(attempts: Attempts) -> None:
    empty = attempts.make("true").directory
    async with LocalBackend() as backend:
        assert await backend.find({"empty": empty, "missing": attempts.base / "missing"}) == set()
    assert recover(read_facts(empty, boot=boot_id())) == NeverRan()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


async def test_a_process_that_is_not_the_shim_is_never_signalled_although_the_record_names_it(
    attempts: Attempts, bystander: subprocess.Popen[bytes]
) -> None:
    directory = attempts.make("true").directory
    fields = {
        "token": "t",
        "boot_id": boot_id(),
        "shim_pid": bystander.pid,
        "shim_start_time": start_time(bystander.pid),
        "grace": 0.1,
        "started": 1.0,
        "boottime": 1.0,
    }
    (directory / STARTED).write_bytes(frame_fields(fields))
    lock = hold_new(directory / SHIM_LOCK, boot_id().encode())
    try:
        async with LocalBackend() as backend:
            assert await backend.find({"t": directory}) == {"t"}
            await backend.cancel(["t"])
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert await ends(backend, 1) == ["t"]
        assert bystander.poll() is None
    finally:
        os.close(lock)


async def test_a_shim_that_is_just_being_born_holds_up_no_other_adoption(attempts: Attempts) -> None:
    unborn = [attempts.make("true").directory for _ in range(20)]
    locks = [hold_new(directory / SHIM_LOCK, boot_id().encode()) for directory in unborn]
    directories = {str(number): directory for number, directory in enumerate(unborn)}
    for _ in range(3):  # the machine may stand still in the midst of one
        async with LocalBackend() as backend:
            alone = await seconds_to_find(backend, {"0": unborn[0]})
            together = await seconds_to_find(backend, directories)
        if together < 8 * alone:
            break
    assert together < 8 * alone, "they are waited for one after the other"
    async with LocalBackend() as backend:
        assert await backend.find(directories) == set(directories)
        for lock in locks:
            os.close(lock)
        assert await ends(backend, 20) == sorted(directories)
    assert {recover(read_facts(directory)) for directory in unborn} == {NeverRan()}


async def seconds_to_find(backend: LocalBackend, directories: dict[str, Path]) -> float:
    begun = anyio.current_time()
    assert await backend.find(directories) == set(directories)
    return anyio.current_time() - begun
