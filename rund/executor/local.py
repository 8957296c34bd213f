"""Executes attempts on this machine: each below a shim, which is watched by its pidfd.

Rules:

- One descriptor per live attempt, a second for some, and one task for all of them; closing the backend leaves every run
  running.
- An attempt that cannot be watched by a pidfd (its shim was killed and its processes live on, or its shim is not to be
  identified yet) is looked at again and again by a task of its own: waiting for a lock would take a thread that nothing
  can cancel.
- What happened to a submission whose answer was lost is told by its files.
- An attempt that was given to a shim without one, and that this does not begin, is taken back after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.abc

from rund.engine.recover import Finding, Lost, NeverRan
from rund.executor.adoption import Sighting, end_hanging_execution
from rund.executor.backend import State, Submission
from rund.executor.fork_client import ForkClient, RefusedError, UnknownOutcomeError
from rund.executor.handing import Handed, Outcome, fork, hand_over
from rund.executor.locks import boot_id
from rund.executor.looking import GRACE, Looking, look_at_each, revoke_each
from rund.executor.shims import Shim, Shims
from rund.executor.worker import Worker
from rund.threads import in_thread

_LOOK_AGAIN: Final = (0.02, 1.0)  # seconds between looks at what has no pidfd, at first and at most
_ADOPTION_PATIENCE: Final = 2.0  # seconds that `LocalBackend.find` waits for a shim that is just being born
_AT_ONCE: Final = 32  # attempts that are handed over before those are watched
BEGINS: Final = 30.0  # seconds that a shim has to begin what it was handed


@dataclass(slots=True, kw_only=True)
class _Watched:
    directory: Path
    grace: float  # seconds between SIGTERM and SIGKILL
    shim: Shim | None = None  # None: it is looked at by a task of its own
    handed_over: bool = False  # it was seen alive: what it left cannot be nothing
    may_wait: bool = False  # in the socket of a shim that had ended another attempt, which may never come to it
    looked_after: bool = False  # a task of its own sees to it that a stop ends it, should its execution hang
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class LocalBackend:
    """A `rund.executor.backend.Backend`; an async context manager, whose tasks live as long as it is open."""

    def __init__(
        self,
        *,
        launcher: Sequence[str] = (),
        soft_nofile: int | None = None,
        output_limit: int = 0,
        leashes: int = 64,
    ) -> None:
        """``leashes``: for how many shims a second descriptor may be spent, so that they take other attempts.

        ``soft_nofile``: the limit of descriptors that trials get, for a daemon that raised its own.

        ``output_limit``: bytes of output that are kept of what has lost its shim; 0: all.
        ``launcher`` is put before the fork server's command, for tests that trace it.
        """
        self._client = ForkClient(launcher=launcher, soft_nofile=soft_nofile)
        self._hands = Worker("rund-hands")  # hands attempts over
        self._eyes = Worker("rund-eyes")  # looks at those that have lost their shim
        self._looking = Looking(output_limit)
        self._watched: dict[str, _Watched] = {}
        self._shims = Shims(self._lose_shims, leashes=leashes)
        self._shimless: list[str] = []  # tokens of those whose shim has just done with them
        self._some_shimless = asyncio.Event()
        self._some_wait = asyncio.Event()
        self._ended: dict[str, Finding] = {}
        self._bell = asyncio.Event()
        self._resources = contextlib.AsyncExitStack()
        self._tasks: anyio.abc.TaskGroup

    async def __aenter__(self) -> Self:
        boot_id()  # now, not when descriptors are short
        async with contextlib.AsyncExitStack() as stack:
            self._hands.start()
            stack.push_async_callback(self._close_client)
            stack.callback(self._eyes.close)
            self._eyes.start()
            self._shims.open()
            stack.callback(self._shims.close)
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._tasks.start_soon(self._watch_shimless)
            self._tasks.start_soon(self._watch_waiting)
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

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        """Start them; see `rund.executor.backend.Backend.submit`."""
        refused: dict[str, str] = {}
        unknown: list[Submission] = []
        prepare = cache(prepare)
        for begin in range(0, len(attempts), _AT_ONCE):
            some = attempts[begin : begin + _AT_ONCE]
            outcomes = await self._hand_over(some, prepare)
            refused |= {token: str(why) for token, why in outcomes.items() if isinstance(why, RefusedError)}
            unknown += [each for each in some if isinstance(outcomes.get(each.token), UnknownOutcomeError)]
        # Only when the others are watched: this may take a while.
        for attempt in unknown:
            with anyio.CancelScope(shield=True):
                sighting = await self._settle(attempt.token, attempt.directory, boot=boot_id())
            if isinstance(sighting.finding, NeverRan):
                refused[attempt.token] = sighting.finding.fault or "the process that was to start it ended"
            elif not sighting.alive:
                self._report(attempt.token, sighting.finding)
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
            if watched.shim is not None:
                self._stop(watched, watched.shim)

    async def ended(self) -> dict[str, Finding]:
        """Wait for ends; see `rund.executor.backend.Backend.ended`."""
        while not self._ended:
            await self._bell.wait()
        findings, self._ended = self._ended, {}
        self._bell = asyncio.Event()
        return findings

    async def _hand_over(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]]
    ) -> dict[str, Outcome]:
        """What became of each, by token; those that have a shim are watched, each as soon as it is handed over."""
        idle = self._shims.take(len(attempts))

        def hand_over_ready() -> Handed:
            unready = prepare()
            return hand_over((each for each in attempts if each.token not in unready), idle)

        handed = await self._hands.do(hand_over_ready)
        for shim in idle:
            self._shims.keep(shim)
        self._watch_each(attempts, handed.outcomes, may_wait=True)
        if not handed.left:
            return handed.outcomes
        # This may take a while: what the others have come to meanwhile, and their stops, do not wait for it.
        forked = await self._hands.do(partial(fork, handed.left, self._client, self._shims.spare_leashes))
        self._watch_each(attempts, forked, may_wait=False)
        return handed.outcomes | forked

    def _watch_each(self, attempts: Sequence[Submission], outcomes: Mapping[str, Outcome], *, may_wait: bool) -> None:
        for attempt in attempts:
            shim = outcomes.get(attempt.token)
            if isinstance(shim, Shim):
                self._watch(attempt.token, attempt.directory, attempt.grace, shim)
                if may_wait:
                    self._watched[attempt.token].may_wait = True
                    self._some_wait.set()

    async def _settle(self, token: str, directory: Path, *, boot: str | None = None) -> Sighting:
        """Find out what an attempt of unknown state is, and watch it if it is alive.

        ``boot``: the boot in which it was submitted, if that is known.
        """
        sighting = await self._looking.look(directory, boot)
        with anyio.move_on_after(_ADOPTION_PATIENCE):
            while sighting.alive and sighting.pidfd is None and not sighting.orphaned:
                await anyio.sleep(_LOOK_AGAIN[0])
                sighting = await self._looking.look(directory, boot)
        if sighting.alive:
            grace = GRACE if sighting.grace is None else sighting.grace
            self._watch(token, directory, grace, None if sighting.pidfd is None else Shim(sighting.pidfd))
        else:
            _close(sighting.pidfd)
        return sighting

    def _watch(self, token: str, directory: Path, grace: float, shim: Shim | None) -> None:
        watched = self._watched.setdefault(token, _Watched(directory=directory, grace=grace))
        if shim is None:
            self._tasks.start_soon(self._look_again, token, watched)
            return
        watched.shim, watched.handed_over = shim, True
        self._shims.watch(shim, token)
        if watched.stop.is_set():
            self._stop(watched, shim)

    def _stop(self, watched: _Watched, shim: Shim) -> None:
        shim.stop()
        if not watched.looked_after:
            watched.looked_after = True
            self._tasks.start_soon(self._end_hanging_execution, watched)

    async def _end_hanging_execution(self, watched: _Watched) -> None:
        """Look until it has ended: one look can miss it, as when there are no descriptors for it."""
        await anyio.sleep(watched.grace)
        while watched.shim is not None:
            async with self._looking.threads:  # before there is another descriptor
                if watched.shim is None:
                    break
                with contextlib.suppress(OSError):
                    pidfd = os.dup(watched.shim.pidfd)  # its own may be closed meanwhile
                    try:
                        await in_thread(end_hanging_execution, pidfd)
                    finally:
                        os.close(pidfd)
            await anyio.sleep(_LOOK_AGAIN[1])
        watched.looked_after = False

    async def _watch_waiting(self) -> None:
        """Take back what shims do not come to."""
        while True:
            await self._some_wait.wait()
            self._some_wait = asyncio.Event()
            handed = [(token, watched) for token, watched in self._watched.items() if watched.may_wait]
            await anyio.sleep(BEGINS)
            late = [(token, watched) for token, watched in handed if watched.shim is not None]
            revoked = await self._eyes.do(partial(revoke_each, [watched.directory for _, watched in late]))
            for (token, watched), taken_back in zip(late, revoked, strict=True):
                watched.may_wait = taken_back is None
                if watched.shim is None:
                    continue  # it has ended just now
                if taken_back is None:
                    self._some_wait.set()
                elif taken_back:
                    self._shims.kill(watched.shim)
                    self._lose_shims([token])

    def _report(self, token: str, finding: Finding) -> None:
        self._watched.pop(token, None)
        self._ended[token] = finding
        self._bell.set()

    def _lose_shims(self, tokens: list[str]) -> None:
        for token in tokens:
            self._watched[token].shim = None
        self._shimless += tokens
        self._some_shimless.set()

    async def _watch_shimless(self) -> None:
        while True:
            await self._some_shimless.wait()
            self._some_shimless = asyncio.Event()
            tokens, self._shimless = self._shimless, []
            directories = [self._watched[token].directory for token in tokens]
            sightings = await self._eyes.do(partial(look_at_each, directories))
            for token, sighting in zip(tokens, sightings, strict=True):
                if sighting.alive or isinstance(sighting.finding, Lost):
                    self._tasks.start_soon(self._look_again, token, self._watched[token])
                    _close(sighting.pidfd)
                else:
                    self._report(token, sighting.finding)

    async def _look_again(self, token: str, watched: _Watched) -> None:
        """See to an attempt without a pidfd until it has ended, or has one."""
        pause = _LOOK_AGAIN[0]
        kill_at: float | None = None
        revoke_at = anyio.current_time() + BEGINS
        # What is watched was alive in this boot.
        while (
            sighting := await self._looking.look(watched.directory, boot_id(), handed_over=watched.handed_over)
        ).alive:
            if sighting.pidfd is not None:
                self._watch(token, watched.directory, watched.grace, Shim(sighting.pidfd))
                return
            if sighting.orphaned:
                watched.handed_over = True
                await self._looking.bound_output(watched.directory)
                if watched.stop.is_set():
                    kill_at = await self._looking.stop_orphans(watched.directory, sighting.grace, kill_at)
            elif watched.stop.is_set() or anyio.current_time() >= revoke_at:
                revoke_at = anyio.current_time() + BEGINS
                pidfd = await self._looking.find_shim(watched.directory)
                if pidfd is not None:
                    self._watch(token, watched.directory, watched.grace, Shim(pidfd))
                    return
                if await self._looking.revoke(watched.directory):
                    continue
            due = math.inf if kill_at is None else kill_at - anyio.current_time()
            with anyio.move_on_after(min(pause, due) if due > 0 else pause):
                await (anyio.sleep_forever() if watched.stop.is_set() else watched.stop.wait())
            pause = min(2 * pause, _LOOK_AGAIN[1])
        if isinstance(sighting.finding, Lost):
            await self._looking.bound_output(watched.directory)
        self._report(token, sighting.finding)

    async def _close_client(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._hands.do(self._client.close)
        self._hands.close()


def _close(pidfd: int | None) -> None:
    if pidfd is not None:
        os.close(pidfd)
