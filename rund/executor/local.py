"""Executes attempts on this machine: one shim each, watched by its pidfd.

Rules:

- One descriptor per live attempt, and one task for all of them; closing the backend leaves every run running.
- An attempt that cannot be watched by a pidfd (its shim was killed and its processes live on, or its shim is not to be
  identified yet) is looked at again and again by a task of its own: waiting for a lock would take a thread that nothing
  can cancel.
- What happened to a submission whose answer was lost is told by its files.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.abc

from rund.engine.recover import Lost, NeverRan
from rund.executor.adoption import Sighting, bound_output, end_hanging_execution, look, signal_orphans
from rund.executor.backend import State, Submission
from rund.executor.fork_client import ForkClient, RefusedError, UnknownOutcomeError
from rund.executor.framing import SHIM_LOCK
from rund.executor.locks import boot_id, hold_new
from rund.executor.shim_request import ShimRequest, encode_request
from rund.threads import in_thread

_LOOK_AGAIN: Final = (0.02, 1.0)  # seconds between looks at what has no pidfd, at first and at most
_ADOPTION_PATIENCE: Final = 2.0  # seconds that `LocalBackend.find` waits for a shim that is just being born
_LOOKERS: Final = 8  # threads that look at directories
_GRACE: Final = 10.0  # seconds, for orphaned processes whose record does not tell


@dataclass(slots=True, kw_only=True)
class _Watched:
    directory: Path
    grace: float  # seconds between SIGTERM and SIGKILL
    pidfd: int | None = None  # None: it is looked at by a task of its own
    stop: anyio.Event = field(default_factory=anyio.Event)


class LocalBackend:
    """A `rund.executor.backend.Backend`; an async context manager, whose tasks live as long as it is open."""

    def __init__(self, *, launcher: Sequence[str] = (), soft_nofile: int | None = None, output_limit: int = 0) -> None:
        """``soft_nofile``: the limit of descriptors that trials get, for a daemon that raised its own.

        ``output_limit``: bytes of output that are kept of what has lost its shim; 0: all.
        ``launcher`` is put before the fork server's command, for tests that trace it.
        """
        self._client = ForkClient(launcher=launcher, soft_nofile=soft_nofile)
        self._output_limit = output_limit
        self._submitting = anyio.CapacityLimiter(1)
        self._looking = anyio.CapacityLimiter(_LOOKERS)
        self._watched: dict[str, _Watched] = {}
        self._by_pidfd: dict[int, str] = {}
        self._ended: list[str] = []
        self._bell = anyio.Event()
        self._resources = contextlib.AsyncExitStack()
        self._epoll: select.epoll
        self._tasks: anyio.abc.TaskGroup

    async def __aenter__(self) -> Self:
        boot_id()  # now, not when descriptors are short
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close_client)
            self._epoll = stack.enter_context(select.epoll())
            stack.callback(self._close_pidfds)
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._tasks.start_soon(self._watch_pidfds)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._resources.__aexit__(kind, error, trace)

    @property
    def fork_server_pid(self) -> int | None:
        """Of the fork server, None while there is none."""
        return self._client.pid

    async def submit(self, attempts: Sequence[Submission]) -> dict[str, str]:
        """Start them; see `rund.executor.backend.Backend.submit`."""
        refused: dict[str, str] = {}
        for attempt in attempts:
            try:
                # Not abandoned when it is cancelled: the pidfd would be lost.
                pidfd = await in_thread(self._launch, attempt, limiter=self._submitting)
            except RefusedError as error:
                refused[attempt.token] = str(error)
            except UnknownOutcomeError:
                with anyio.CancelScope(shield=True):
                    sighting = await self._settle(attempt.token, attempt.directory)
                if isinstance(sighting.finding, NeverRan):
                    refused[attempt.token] = sighting.finding.fault or "the process that was to start it ended"
                elif not sighting.alive:
                    self._report(attempt.token)
            else:
                self._watch(attempt.token, attempt.directory, attempt.grace, pidfd)
        return refused

    async def find(self, attempts: Mapping[str, Path]) -> set[str]:
        """Take back what is alive; see `rund.executor.backend.Backend.find`."""
        alive: set[str] = set()

        async def adopt(token: str, directory: Path) -> None:
            if token in self._watched or (await self._settle(token, directory)).alive:
                alive.add(token)

        async with anyio.create_task_group() as adoptions:
            for token, directory in attempts.items():
                adoptions.start_soon(adopt, token, directory)
        return alive

    async def snapshot(self) -> dict[str, State]:
        """What it watches; see `rund.executor.backend.Backend.snapshot`."""
        return dict.fromkeys(self._watched, State.ALIVE)

    async def cancel(self, tokens: Collection[str]) -> None:
        """Have them ended; see `rund.executor.backend.Backend.cancel`."""
        for watched in (self._watched[token] for token in tokens if token in self._watched):
            watched.stop.set()
            if watched.pidfd is not None:
                self._stop(watched, watched.pidfd)

    async def ended(self) -> list[str]:
        """Wait for ends; see `rund.executor.backend.Backend.ended`."""
        while not self._ended:
            await self._bell.wait()
        tokens, self._ended = self._ended, []
        self._bell = anyio.Event()
        return tokens

    def _launch(self, attempt: Submission) -> int:
        """A pidfd of its new shim; raises `RefusedError` or `UnknownOutcomeError`."""
        request = _request(attempt)
        try:
            lock = hold_new(attempt.directory / SHIM_LOCK, f"{boot_id()}\n".encode())
        except FileExistsError:
            raise UnknownOutcomeError from None
        except OSError as error:
            raise RefusedError(f"could not make its lock: {str(error.strerror or error).lower()}") from None
        try:
            return self._client.fork_shim(request, lock)
        finally:
            os.close(lock)

    async def _settle(self, token: str, directory: Path) -> Sighting:
        """Find out what an attempt of unknown state is, and watch it if it is alive."""
        sighting = await self._look(directory)
        with anyio.move_on_after(_ADOPTION_PATIENCE):
            while sighting.alive and sighting.pidfd is None and not sighting.orphaned:
                await anyio.sleep(_LOOK_AGAIN[0])
                sighting = await self._look(directory)
        if sighting.alive:
            self._watch(token, directory, _GRACE if sighting.grace is None else sighting.grace, sighting.pidfd)
        elif sighting.pidfd is not None:
            os.close(sighting.pidfd)
        return sighting

    async def _look(self, directory: Path) -> Sighting:
        return await in_thread(look, directory, limiter=self._looking)

    def _watch(self, token: str, directory: Path, grace: float, pidfd: int | None) -> None:
        watched = self._watched.setdefault(token, _Watched(directory=directory, grace=grace))
        if pidfd is None:
            self._tasks.start_soon(self._look_again, token, watched)
            return
        watched.pidfd = pidfd
        self._by_pidfd[pidfd] = token
        self._epoll.register(pidfd, select.EPOLLIN)
        if watched.stop.is_set():
            self._stop(watched, pidfd)

    def _stop(self, watched: _Watched, pidfd: int) -> None:
        _stop_shim(pidfd)
        self._tasks.start_soon(self._end_hanging_execution, watched)

    async def _end_hanging_execution(self, watched: _Watched) -> None:
        await anyio.sleep(watched.grace)
        if watched.pidfd is not None:
            with contextlib.suppress(OSError):
                await in_thread(end_hanging_execution, os.dup(watched.pidfd), limiter=self._looking)

    def _report(self, token: str) -> None:
        self._watched.pop(token, None)
        self._ended.append(token)
        self._bell.set()

    async def _watch_pidfds(self) -> None:
        while True:
            await anyio.wait_readable(self._epoll.fileno())
            for pidfd, _ in self._epoll.poll(0):
                token = self._by_pidfd.pop(pidfd)
                self._epoll.unregister(pidfd)
                os.close(pidfd)
                watched = self._watched[token]
                watched.pidfd = None
                self._tasks.start_soon(self._look_again, token, watched)

    async def _look_again(self, token: str, watched: _Watched) -> None:
        """See to an attempt without a pidfd until it has ended, or has one."""
        pause = _LOOK_AGAIN[0]
        kill_at: float | None = None
        while (sighting := await self._look(watched.directory)).alive:
            if sighting.pidfd is not None:
                self._watch(token, watched.directory, watched.grace, sighting.pidfd)
                return
            if sighting.orphaned:
                await self._bound_output(watched.directory)
                if watched.stop.is_set():
                    kill_at = await self._stop_orphans(watched.directory, sighting.grace, kill_at)
            with anyio.move_on_after(pause):
                await (anyio.sleep_forever() if watched.stop.is_set() else watched.stop.wait())
            pause = min(2 * pause, _LOOK_AGAIN[1])
        if isinstance(sighting.finding, Lost):
            await self._bound_output(watched.directory)
        self._report(token)

    async def _bound_output(self, directory: Path) -> None:
        await in_thread(bound_output, directory, self._output_limit, limiter=self._looking)

    async def _stop_orphans(self, directory: Path, grace: float | None, kill_at: float | None) -> float | None:
        """Signal them with what is due; answers when they are to be killed."""
        now = anyio.current_time()
        if kill_at is None:
            numbers = [signal.SIGTERM, signal.SIGCONT]
            kill_at = now + (_GRACE if grace is None else grace)
        elif now < kill_at:
            return kill_at
        else:
            numbers = [signal.SIGKILL]
        await in_thread(signal_orphans, directory, *numbers, limiter=self._looking)
        return kill_at

    async def _close_client(self) -> None:
        with anyio.CancelScope(shield=True):
            await in_thread(self._client.close, limiter=self._submitting)

    def _close_pidfds(self) -> None:
        for pidfd in self._by_pidfd:
            os.close(pidfd)
        self._by_pidfd.clear()


def _stop_shim(pidfd: int) -> None:
    with contextlib.suppress(OSError):  # it has just ended
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)


def _request(attempt: Submission) -> bytes:
    return encode_request(
        ShimRequest(
            token=attempt.token,
            directory=_text(attempt.directory),
            cwd=_text(attempt.cwd),
            argv=attempt.argv,
            environment=attempt.environment,
            grace=attempt.grace,
            output_limit=attempt.output_limit,
        )
    )


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "surrogateescape")
