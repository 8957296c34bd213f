"""Carries out what the store says: starts what waits, stops what is to be stopped, records what has ended.

Rules:

- The store is asked anew at each bell, so that a daemon that comes back goes on where the last one was.
- The intent to start is committed before anything is started, and the end before it is told.
- What starts in the slots of those that have ended is recorded with their ends, in one transaction.
- Starts, stops and ends go on side by side: a long queue delays no stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import anyio

from rund.broker import Broker
from rund.engine.recover import NeverRan
from rund.errors import FullError, InternalError
from rund.executor.backend import Backend
from rund.executor.ending import Ends, Outcome, outcomes_of, token_of
from rund.executor.launch import Launcher
from rund.executor.persist import RETRY, learn, persist
from rund.executor.starting import Claimed, Claims, Starts
from rund.store.cleaning import remove_garbage
from rund.store.store import Store
from rund.store.transaction import Transaction

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 15.0  # seconds between starts that the machine has no room for: each try is written, and taken back
_TOGETHER = 0.005  # seconds for which ends wait for starts that are being handed over, to be recorded together
_RECOVERY = 5.0  # seconds that recording may take before clients are served: a full disk hinders no reading


class Executor:
    """The executor of one store, on one backend, with so many slots, and room for ``most`` runs at once."""

    def __init__(
        self, store: Store, backend: Backend, broker: Broker, launcher: Launcher, *, slots: int, most: int
    ) -> None:
        self._store = store
        self._backend = backend
        self._broker = broker
        self._starts = Starts(store, backend, launcher, slots=slots, most=most)
        self._ends = Ends(store)
        self._starts_again = 0.0  # the loop's time from which starts are tried again
        self._pause = RETRY  # seconds to the next try, the next time that a start is taken back
        self._told: str | None = None  # why starts wait, as it was logged last
        self._turns: dict[str, float] = {}  # the loop's times at which present turns began
        self._claimed: list[Claimed] = []  # to be handed over
        self._some_claimed = asyncio.Event()
        self._handed_over = asyncio.Event()
        self._working = False  # what is claimed will be handed over
        self._full = False  # nothing can start until an end is recorded
        self._seen_stops: int | None = None  # the store's number of stops when they were last looked for
        self._cancelled: set[str] = set()
        self._unknown: set[str] = set()  # tokens of which nobody can tell yet what became of them
        self._some_unknown = anyio.Event()
        self._some_garbage = anyio.Event()

    def may_start(self, *, allowed: bool) -> None:
        """Whether anything is to be started from now on: not if the daemon is about to end, and its runs with it."""
        self._starts.closing = not allowed
        self._broker.ring()

    async def recover(self) -> None:
        """Take back what an earlier daemon started, and record what has ended since, unless the disk is full."""
        runs = await self._store.read(lambda reader: reader.running())
        tokens = [token_of(run) for run in runs]
        alive = await self._find(tokens)
        over = set(tokens) - alive
        with anyio.move_on_after(_RECOVERY):
            await self._record_those(over)
            over = set()
        self._note_unknown(over)
        if tokens:
            _log.info("took back %d runs; %d had ended", len(alive), len(tokens) - len(alive))

    async def run(self) -> None:
        """Work until cancelled; runs go on without it."""
        self._working = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_ends)
            tasks.start_soon(self._watch_stops)
            tasks.start_soon(self._look_again)
            tasks.start_soon(self._hand_over)
            tasks.start_soon(self._remove_garbage)
            while True:
                bell = self._broker.bell
                if not await self._claim():
                    with anyio.CancelScope(deadline=self._starts_again or math.inf):
                        await bell.wait()

    def turn(self) -> float:
        """Seconds since the longest of the present turns of starts began; 0 while there is none."""
        return max((anyio.current_time() - begun for begun in self._turns.values()), default=0.0)

    @contextlib.contextmanager
    def _a_turn(self, name: str) -> Iterator[None]:
        self._turns[name] = anyio.current_time()
        try:
            yield
        finally:
            del self._turns[name]

    def _may_start(self) -> bool:
        return self._working and not self._starts.closing and anyio.current_time() >= self._starts_again

    async def _claim(self) -> bool:
        """Claim what may start; whether there was any."""
        if self._full or not self._may_start():
            return False
        self._starts_again = 0.0
        try:
            with self._a_turn("look"):
                due = await self._starts.are_due()
            # No turn of the executor: it may wait behind long changes, and the thread that writes is watched by itself.
            claims = await self._starts.claim() if due else Claims()
        except (FullError, InternalError) as error:
            self._back_off(error.message)
            return False
        self._take(claims)
        return bool(claims.claimed)

    def _take(self, claims: Claims) -> None:
        if self._full and not claims.full:
            self._broker.ring()  # the bell of the commit that made room may have found it full still
        self._full = claims.full
        if claims.claimed:
            self._claimed += claims.claimed
            self._some_claimed.set()

    async def _hand_over(self) -> None:
        while True:
            await self._some_claimed.wait()
            self._some_claimed = asyncio.Event()
            claimed, self._claimed = self._claimed, []
            with self._a_turn("hand over"):
                outcomes = await self._starts.submit(claimed)
            self._handed_over.set()
            if any(each.attempt.spec.setup.clean for each in claimed):
                self._some_garbage.set()  # what lay in their directories before
            if len(outcomes) < len(claimed):
                self._told, self._pause = None, RETRY
            # Before anything is written, which may wait: what was asked to stop while it was being started.
            await self._stop_stopping()
            await self._record(outcomes)

    def _back_off_from(self, outcomes: Mapping[str, Outcome]) -> None:
        # One that was told to stop before it began tells nothing of the machine.
        left = {token: outcome for token, outcome in outcomes.items() if token not in self._cancelled}
        never = [(token, outcome) for token, outcome in left.items() if isinstance(outcome, NeverRan)]
        for token, outcome in never[-1:]:
            self._back_off(outcome.fault or f"run {token[:8]} never ran", self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _back_off(self, reason: str, pause: float = RETRY) -> None:
        if reason != self._told:
            _log.warning("starts wait, for one could not be carried out just now: %s", reason)
            self._told = reason
        self._starts_again = anyio.current_time() + pause

    async def _watch_stops(self) -> None:
        while True:
            bell = self._broker.bell
            await self._stop_stopping()
            await bell.wait()

    async def _stop_stopping(self) -> None:
        """Carry through the stops that are recorded, also those of an earlier daemon."""
        stops = self._store.stops
        if stops == self._seen_stops:
            return
        stopping = await learn(self._store, lambda reader: {token_of(run) for run in reader.running() if run.stopping})
        self._cancelled &= stopping
        asked = (stopping - self._cancelled) & (await self._backend.snapshot()).keys()
        self._cancelled |= asked
        # What is not handed over yet is stopped when it is: it is looked for again then.
        self._seen_stops = stops if stopping <= self._cancelled else None
        if asked:
            await self._backend.cancel(asked)

    async def _watch_ends(self) -> None:
        while True:
            await self._record(outcomes_of(await self._backend.ended()))
            await self._let_some_end()

    async def _let_some_end(self) -> None:
        """Return when what was claimed is handed over: what ends until then costs little more than one end."""
        if self._claimed:
            self._handed_over = handed_over = asyncio.Event()
            timer = asyncio.get_running_loop().call_later(_TOGETHER, handed_over.set)
            await handed_over.wait()
            timer.cancel()

    async def _look_again(self) -> None:
        """Look again for attempts of which nobody could tell whether they are alive: no descriptors were left, say."""
        while True:
            await self._some_unknown.wait()
            await anyio.sleep(RETRY)
            unknown, self._unknown = self._unknown, set()
            self._some_unknown = anyio.Event()
            alive = await self._find(unknown)
            await self._record_those(unknown - alive)

    async def _find(self, tokens: Collection[str]) -> set[str]:
        directories = self._store.directories
        return await self._backend.find({token: directories.attempt(token) for token in tokens})

    async def _record_those(self, tokens: Collection[str]) -> None:
        """Record what became of attempts that nobody watches; those of which nobody can tell are kept."""
        outcomes = await self._ends.outcomes(tokens)
        await self._record(outcomes)
        self._note_unknown(set(tokens) - outcomes.keys())

    async def _record(self, outcomes: Mapping[str, Outcome]) -> None:
        """Record outcomes, and what starts in their slots."""
        if not outcomes:
            return
        self._back_off_from(outcomes)
        both = partial(self._record_in, outcomes=outcomes, claim=self._may_start())
        try:
            claims = await self._store.write(both, urgent=True)
        except (FullError, InternalError):  # nothing that hinders a start keeps an end from being recorded
            claims = await persist(self._store, partial(self._record_in, outcomes=outcomes, claim=False))
        self._take(claims)
        if any(isinstance(outcome, NeverRan) for outcome in outcomes.values()):
            self._some_garbage.set()

    def _record_in(self, transaction: Transaction, *, outcomes: Mapping[str, Outcome], claim: bool) -> Claims:
        self._ends.record_in(transaction, outcomes)
        return self._starts.claim_in(transaction) if claim else Claims()

    async def _remove_garbage(self) -> None:
        """Remove the folders of attempts that never ran, and what was in emptied ones: nobody else does so soon."""
        while True:
            await self._some_garbage.wait()
            self._some_garbage = anyio.Event()
            await remove_garbage(self._store)

    def _note_unknown(self, tokens: set[str]) -> None:
        if tokens:
            self._unknown |= tokens
            self._some_unknown.set()
