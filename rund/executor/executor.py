"""Carries out what the store says: starts what waits, stops what is to be stopped, records what has ended.

Rules:

- The store is asked anew at each bell, so that a daemon that comes back goes on where the last one was.
- The intent to start is committed before anything is started, and the end before it is told.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import pwd
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio

from rund.broker import Broker
from rund.clock import now
from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.engine.recover import Alive, Ended, Finding, Lost, NeverRan, recover
from rund.engine.schedule import schedule
from rund.executor.backend import Backend, Submission
from rund.executor.facts import read_facts
from rund.executor.framing import OUTPUT
from rund.executor.launch import CannotStartError, Launcher, NoRoomError
from rund.model.event import EventKind
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.operations.scalars import read_scalars
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction

_STARTS = 64  # at most this many intents in one transaction
_RETRY = 1.0  # seconds until starts are tried again that the machine had no room for
_SCALARS_READ = 1_048_576  # bytes at the end of an output in which scalars are looked for

_log = logging.getLogger(__name__)


class Executor:
    """The executor of one store, on one backend, with so many slots."""

    def __init__(self, store: Store, backend: Backend, broker: Broker, launcher: Launcher, *, slots: int) -> None:
        self._store = store
        self._backend = backend
        self._broker = broker
        self._launcher = launcher
        self._slots = slots
        self._host = platform.node()
        self._user = pwd.getpwuid(os.getuid()).pw_name
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        self._submitted: set[str] = set()
        self._cancelled: set[str] = set()
        self._starts_again = 0.0  # the loop's time from which starts are tried again

    async def recover(self) -> None:
        """Take back what an earlier daemon started, and record what has ended since."""
        runs = await self._store.read(lambda reader: reader.running())
        directories = self._store.directories
        tokens = {_token(run): directories.attempt(_token(run)) for run in runs}
        alive = await self._backend.find(tokens)
        self._submitted |= alive
        await self._record([token for token in tokens if token not in alive])
        if tokens:
            _log.info("took back %d runs; %d had ended", len(alive), len(tokens) - len(alive))

    async def run(self) -> None:
        """Work until cancelled; runs go on without it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            while True:
                bell = self._broker.bell
                await self._stop_stopping()
                await self._start_pending()
                with anyio.CancelScope(deadline=self._starts_again or math.inf):
                    await bell.wait()

    # Starting

    async def _start_pending(self) -> None:
        """Start what may start, unless the machine had no room for more a moment ago."""
        if anyio.current_time() < self._starts_again:
            return
        self._starts_again = 0.0
        while not self._starts_again and await self._store.read(self._startable):
            await self._submit(await self._store.write(self._claim))

    def _back_off(self, token: str, reason: str | None) -> None:
        _log.warning("run %s waits, for it could not be started just now: %s", token[:8], reason or "unknown why")
        self._starts_again = anyio.current_time() + _RETRY

    def _startable(self, reader: Reader) -> bool:
        return not reader.paused() and bool(self._chosen(reader, 1))

    def _chosen(self, reader: Reader, limit: int) -> list[Run]:
        used = sum(run.spec.setup.slots for run in reader.running())
        return schedule(reader.pending(), slots=self._slots, used=used, limit=limit)

    def _claim(self, transaction: Transaction) -> list[tuple[Run, Attempt]]:
        """Record the intent to start what may start."""
        if transaction.paused():
            return []
        claimed = [self._started(transaction, run) for run in self._chosen(transaction, _STARTS)]
        for run, attempt in claimed:
            transaction.save_run(run)
            transaction.save_attempt(run.id, attempt)
        if claimed:
            ids = [run.id for run, _ in claimed]
            transaction.add_event(EventKind.STARTED, now(), ids, status=Status.RUNNING)
        return claimed

    def _started(self, reader: Reader, run: Run) -> tuple[Run, Attempt]:
        try:
            command: Sequence[str] = self._launcher.command(reader, run.spec).argv
        except CannotStartError:
            command = ()  # told when it is started
        return lifecycle.start(run, now=now(), command=command, host=self._host, user=self._user, boot_id=self._boot_id)

    async def _submit(self, claimed: list[tuple[Run, Attempt]]) -> None:
        """Hand over what was claimed; what there was no room for waits again."""
        ready: list[Submission] = []
        refused: dict[str, str] = {}
        faults: dict[str, str] = {}
        for run, attempt in claimed:
            prepare = partial(self._prepare, run=run, attempt=attempt)
            try:
                ready.append(await self._store.read(prepare))
            except NoRoomError as error:
                refused[attempt.token] = str(error)
            except CannotStartError as error:
                faults[attempt.token] = str(error)
        refused |= await self._backend.submit(ready) if ready else {}
        self._submitted |= {submission.token for submission in ready} - refused.keys()
        for token, reason in refused.items():
            self._back_off(token, reason)
        findings: dict[str, Finding | End] = dict.fromkeys(refused, NeverRan())
        findings |= {
            token: End(status=Status.ERROR, reason=f"could not start: {fault}", stopped=now())
            for token, fault in faults.items()
        }
        if findings:
            await self._store.write(partial(self._apply, findings=findings))

    def _prepare(self, reader: Reader, *, run: Run, attempt: Attempt) -> Submission:
        return self._launcher.submission(reader, run, attempt)

    # Stopping

    async def _stop_stopping(self) -> None:
        """Carry through the stops that are recorded, also those of an earlier daemon."""
        stopping = await self._store.read(lambda reader: {_token(run) for run in reader.running() if run.stopping})
        asked = (stopping & self._submitted) - self._cancelled
        if asked:
            self._cancelled |= asked
            await self._backend.cancel(asked)

    # Ends

    async def _watch(self) -> None:
        while True:
            unknown = await self._record(await self._backend.ended())
            while unknown:
                # Nobody could tell whether they are alive (no descriptors left, say): they are looked for again.
                await anyio.sleep(_RETRY)
                directories = self._store.directories
                unknown -= await self._backend.find({token: directories.attempt(token) for token in unknown})
                unknown = await self._record(unknown)

    async def _record(self, tokens: Collection[str]) -> set[str]:
        """Record what became of attempts that have ended; answers those of which nobody can tell yet."""
        findings = await self._store.read(partial(self._findings, tokens=tokens))
        over = {token: finding for token, finding in findings.items() if not isinstance(finding, Alive)}
        for token, finding in over.items():
            if isinstance(finding, NeverRan):
                self._back_off(token, finding.fault)
        if over:
            await self._store.write(partial(self._apply, findings=over))
        self._submitted -= over.keys()
        self._cancelled -= over.keys()
        return findings.keys() - over.keys()

    def _findings(self, reader: Reader, *, tokens: Collection[str]) -> dict[str, Finding | End]:
        return {token: self._finding(reader, token) for token in tokens}

    def _finding(self, reader: Reader, token: str) -> Finding | End:
        directory = self._store.directories.attempt(token)
        run = reader.find(_run_id(token))
        attempt = None if run is None else reader.attempt(run.id, run.attempts)
        finding = recover(read_facts(directory, boot=None if attempt is None else attempt.boot_id))
        if isinstance(finding, Ended):
            return _end(finding, _scalars(directory / OUTPUT))
        return finding

    def _apply(self, transaction: Transaction, *, findings: Mapping[str, Finding | End]) -> None:
        for token, finding in findings.items():
            run = transaction.find(_run_id(token))
            if run is None or run.status is not Status.RUNNING or _token(run) != token:
                continue  # recorded before
            attempt = transaction.attempt(run.id, run.attempts)
            if attempt is not None:
                self._apply_one(transaction, run, attempt, finding)

    def _apply_one(self, transaction: Transaction, run: Run, attempt: Attempt, finding: Finding | End) -> None:
        time = now()
        match finding:
            case Alive() | Ended():
                raise AssertionError(f"{finding} is not an end")
            case NeverRan():
                last = transaction.attempt(run.id, attempt.number - 1)
                after = lifecycle.never_ran(run, attempt, last, now=time)
                transaction.erase_attempt(run.id, attempt.number)
                transaction.save_run(after)
                kind = EventKind.QUEUED if after.status is Status.PENDING else EventKind.WITHDRAWN
            case Lost() | End():
                how = (
                    finding
                    if isinstance(finding, End)
                    else End(status=Status.ERROR, reason=finding.reason, stopped=time)
                )
                place = transaction.next_place()
                after, over = lifecycle.end(run, attempt, how, now=time, place=place)
                transaction.save_attempt(run.id, over)
                transaction.save_run(after)
                transaction.add_event(EventKind.ENDED, time, [run.id], status=how.status, reason=how.reason)
                if after.status is not Status.PENDING:
                    return
                kind = EventKind.QUEUED
        transaction.add_event(kind, time, [run.id], status=after.status, reason=after.reason)


def _token(run: Run) -> str:
    """The token of the attempt that is running."""
    return f"{run.id}-{run.starts}"


def _run_id(token: str) -> str:
    return token.partition("-")[0]


def _end(found: Ended, scalars: dict[str, float]) -> End:
    return End(
        status=found.status,
        reason=found.reason,
        exit_status=found.exit_status,
        signal=found.signal,
        started=found.started,
        stopped=found.stopped,
        usage=found.usage,
        scalars=scalars,
    )


def _scalars(path: Path) -> dict[str, float]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return {}
            file.seek(max(0, size - _SCALARS_READ))
            return read_scalars(file.read(_SCALARS_READ).decode("utf-8", "replace"))
    except OSError:
        return {}
