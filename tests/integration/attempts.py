"""Real attempts in a directory of the test's own, events to wait for, and a proof that no process is left."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from rund.engine.recover import Finding, recover
from rund.executor.backend import Submission
from rund.executor.facts import read_facts
from rund.executor.framing import TRIAL_LOCK
from rund.executor.local import LocalBackend
from rund.executor.locks import boot_id, is_held

PATIENCE = 60.0  # seconds until a test gives up


class Attempts:
    """Makes submissions; every process of theirs carries the test's mark in its environment."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.mark = uuid.uuid4().hex
        self._number = 0

    def make(self, *argv: str, grace: float = 20.0, environment: dict[str, str] | None = None) -> Submission:
        self._number += 1
        directory = self.folder(self._number)
        directory.mkdir()
        return Submission(
            token=f"token-{self._number}",
            directory=directory,
            cwd=self.base,
            argv=argv,
            environment={"PATH": os.environ["PATH"], "MARK": self.mark} | (environment or {}),
            grace=grace,
        )

    def folder(self, number: int) -> Path:
        """Of the attempt of this number, from 1; no other's has its name, in no test that runs at the same time."""
        return self.base / f"attempt-{number}-{self.mark}"

    def shell(self, script: str, *, grace: float = 20.0) -> Submission:
        return self.make("sh", "-c", script, grace=grace)

    def left(self) -> set[int]:
        """Live processes that the test's attempts made: trials by their mark, shims by what they have open."""
        return {pid for pid in _pids() if pid != os.getpid() and (self._is_trial(pid) or self._is_shim(pid))}

    def _is_trial(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def _is_shim(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("rund"):
                return any(str(self.base) in str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
        return False


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def children(pid: int | str = "self") -> set[int]:
    """Of a process, zombies too; of this one if none is named."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def descriptors(pid: int | str = "self") -> list[int]:
    """What a process has open, this one if none is named, without its garbage: the collector would close that anytime."""
    gc.collect()
    return [int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()]


@contextlib.contextmanager
def spare_descriptors(count: int) -> Iterator[None]:
    """A time in which this process can open so many descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Those given out next are the lowest free ones: one above all that are open, and all the holes below it.
    limit = max(descriptors()) + 2 + count
    fillers: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for _ in range(count):
            os.close(fillers.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


def command_line(pid: int | None) -> bytes:
    """Of a process; empty if it is a zombie or gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.fixture(name="attempts")
def attempts_fixture(tmp_path: Path) -> Iterator[Attempts]:
    before = children()
    made = Attempts(tmp_path)
    yield made
    left = made.left()
    # One that forks all the time is never where a pass over /proc looks, but it cannot let go of its lock.
    held = [path for path in tmp_path.rglob(TRIAL_LOCK) if is_held(path)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"processes are left: {left}"
    assert not held, f"locks are held: {held}"
    assert children() <= before, "a child is left, alive or unreaped"


class Bell:
    """A FIFO by which a trial tells something, in lines."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._read = b""

    async def line(self) -> str:
        with anyio.fail_after(PATIENCE):
            while b"\n" not in self._read:
                await anyio.wait_readable(self._descriptor)
                self._read += os.read(self._descriptor, 4096)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def ring(self) -> None:
        os.write(self._descriptor, b"go\n")

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture(name="bell")
def bell_fixture(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path / "bell")
    yield made
    made.close()


def found(attempt: Submission) -> Finding:
    return recover(read_facts(attempt.directory, boot=boot_id()))


async def gone(pid: int) -> None:
    """Wait until process ``pid`` has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        assert error.errno in (errno.ESRCH, errno.EINVAL), error  # the latter while it is being reaped
        return
    try:
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(pidfd)
    finally:
        os.close(pidfd)


async def all_ended(backend: LocalBackend, *attempts: Submission) -> None:
    """Wait for the ends of exactly these, each reported once."""
    tokens: list[str] = []
    with anyio.fail_after(PATIENCE):
        while len(tokens) < len(attempts):
            tokens += await backend.ended()
    assert sorted(tokens) == sorted(attempt.token for attempt in attempts)


async def at_rest(backend: LocalBackend) -> None:
    """Wait until shims that have no attempt are let go, and have ended."""
    assert backend.fork_server_pid is not None
    with anyio.fail_after(PATIENCE):
        while children(backend.fork_server_pid):  # noqa: ASYNC110 - no event tells of other processes' children
            await anyio.sleep(0.02)


async def run(backend: LocalBackend, *attempts: Submission) -> None:
    assert await backend.submit(attempts) == {}
    await all_ended(backend, *attempts)
