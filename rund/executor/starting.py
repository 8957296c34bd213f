"""Starts what waits: the intent is committed before anything is started."""

from __future__ import annotations

import errno
import os
import platform
import pwd
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rund.clock import now
from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.engine.recover import NeverRan
from rund.engine.schedule import schedule
from rund.executor.backend import Backend, Submission
from rund.executor.ending import Outcome
from rund.executor.launch import CannotStartError, Launcher
from rund.executor.locks import boot_id
from rund.model.event import EventKind
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction

STARTS: Final = 64  # at most this many intents in one transaction
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run the start of which is recorded."""

    run: Run
    attempt: Attempt
    submission: Submission | None
    fault: str | None = None  # why it cannot be started: then there is no submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What was claimed at once."""

    claimed: tuple[Claimed, ...] = ()
    full: bool = False  # nothing can start until an end is recorded


class Starts:
    """Starts pending runs in so many slots, ``most`` of them at once."""

    def __init__(self, store: Store, backend: Backend, launcher: Launcher, *, slots: int, most: int) -> None:
        self._store = store
        self._backend = backend
        self._launcher = launcher
        self._slots = slots
        self._most = most
        self._host = platform.node()
        self._user = _user_name()
        self._boot_id = boot_id()
        self.closing = False  # start nothing from now on

    async def are_due(self) -> bool:
        """Whether anything may start now."""
        return await self._store.read(self._startable)

    async def claim(self) -> Claims:
        """Record the intent to start what may start now."""
        return await self._store.write(self.claim_in)

    async def submit(self, claimed: Sequence[Claimed]) -> dict[str, Outcome]:
        """Hand over what was claimed; answers what became of those that were not started, by token.

        `NeverRan`: the machine had no room for it just now.
        """
        outcomes: dict[str, Outcome] = {
            each.attempt.token: End(status=Status.ERROR, reason=f"could not start: {each.fault}", stopped=now())
            for each in claimed
            if each.submission is None
        }

        def prepare() -> Collection[str]:
            outcomes.update(self._make_directories(claimed))
            return outcomes

        ready = [each.submission for each in claimed if each.submission is not None]
        refused = await self._backend.submit(ready, prepare) if ready else {}
        return outcomes | {token: NeverRan(fault=reason) for token, reason in refused.items()}

    def claim_in(self, transaction: Transaction) -> Claims:
        """Record, in a transaction that may record ends as well, the intent to start what may start then."""
        if transaction.paused() or transaction.short or self.closing:
            return Claims()
        running, used = transaction.in_use()
        chosen = self._chosen(transaction, running=running, used=used, limit=STARTS)
        claimed = tuple(self._claimed(transaction, run) for run in chosen)
        starts: dict[str | None, list[str]] = {}
        for before, each in zip(chosen, claimed, strict=True):
            transaction.change_run(before, each.run)
            transaction.save_attempt(each.run.id, each.attempt)
            starts.setdefault(each.run.batch, []).append(each.run.id)
            used += each.attempt.spec.setup.slots
        for batch, ids in starts.items():
            transaction.add_event(EventKind.STARTED, now(), ids, status=Status.RUNNING, batch=batch)
        return Claims(claimed=claimed, full=used >= self._slots or running + len(claimed) >= self._most)

    def _startable(self, reader: Reader) -> bool:
        running, used = reader.in_use()
        return not reader.paused() and bool(self._chosen(reader, running=running, used=used, limit=1))

    def _chosen(self, reader: Reader, *, running: int, used: int, limit: int) -> list[Run]:
        limit = min(limit, self._most - running)
        if limit <= 0 or used >= self._slots:
            return []
        return schedule(reader.pending(), slots=self._slots, used=used, limit=limit, room=reader.room())

    def _claimed(self, reader: Reader, run: Run) -> Claimed:
        # Whoever has that folder had another start: neither its output nor its end is this one's.
        run = replace(run, starts=self._store.directories.last_start(run.id, run.starts))
        started, attempt = lifecycle.start(run, now=now(), host=self._host, user=self._user, boot_id=self._boot_id)
        try:
            submission = self._launcher.submission(reader, started, attempt)
        except CannotStartError as error:
            return Claimed(run=started, attempt=attempt, submission=None, fault=str(error))
        attempt = replace(attempt, command=submission.argv)
        return Claimed(run=started, attempt=attempt, submission=submission)

    def _make_directories(self, claimed: Sequence[Claimed]) -> dict[str, Outcome]:
        """Make the directories of those that can be started; answers what became of those of which that failed."""
        outcomes: dict[str, Outcome] = {}
        for each in claimed:
            try:
                if each.submission is not None:
                    self._launcher.make_directories(each.run.id, each.attempt)
            except OSError as error:
                outcomes[each.attempt.token] = _outcome(error)
            except ValueError:  # an input's name, of a damaged store
                reason = "could not start: its directory cannot be made: an input has an impossible name"
                outcomes[each.attempt.token] = End(status=Status.ERROR, reason=reason, stopped=now())
        return outcomes


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container: runs need no name
        return str(os.getuid())


def _outcome(error: OSError) -> Outcome:
    """What becomes of an attempt whose directories cannot be made."""
    words = (error.strerror or str(error)).lower()
    if error.errno in _NO_ROOM:
        return NeverRan(fault=words)
    where = "" if error.filename is None else f" ({Path(os.fsdecode(error.filename)).name})"
    return End(
        status=Status.ERROR, reason=f"could not start: its directory cannot be made: {words}{where}", stopped=now()
    )
