"""Starts what waits: the intent is committed before anything is started."""

from __future__ import annotations

import errno
import os
import platform
import pwd
from collections.abc import Sequence
from functools import partial
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
from rund.executor.persist import learn
from rund.model.event import EventKind
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction
from rund.threads import in_thread

_STARTS: Final = 64  # at most this many intents in one transaction
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)


class Starts:
    """Starts pending runs in so many slots, ``most`` of them at once."""

    def __init__(self, store: Store, backend: Backend, launcher: Launcher, *, slots: int, most: int) -> None:
        self._store = store
        self._backend = backend
        self._launcher = launcher
        self._slots = slots
        self._most = most
        self._host = platform.node()
        self._user = pwd.getpwuid(os.getuid()).pw_name
        self._boot_id = boot_id()
        self.closing = False  # start nothing from now on

    async def claim(self) -> list[tuple[Run, Attempt]]:
        """Record the intent to start what may start now; nothing, if nothing may."""
        if not await self._store.read(self._startable):
            return []
        return await self._store.write(self._claim)

    async def submit(self, claimed: list[tuple[Run, Attempt]]) -> dict[str, Outcome]:
        """Hand over what was claimed; answers what became of those that were not started, by token.

        `NeverRan`: the machine had no room for it just now.
        """
        ready: list[Submission] = []
        outcomes: dict[str, Outcome] = {}
        for run, attempt in claimed:
            try:
                ready.append(await self._prepared(run, attempt))
            except CannotStartError as error:
                outcomes[attempt.token] = End(status=Status.ERROR, reason=f"could not start: {error}", stopped=now())
            except OSError as error:
                outcomes[attempt.token] = _outcome(error)
        refused = await self._backend.submit(ready) if ready else {}
        return outcomes | {token: NeverRan(fault=reason) for token, reason in refused.items()}

    async def _prepared(self, run: Run, attempt: Attempt) -> Submission:
        submission = await learn(self._store, partial(self._launcher.submission, run=run, attempt=attempt))
        # Not within the read: what it makes would hold up the log of the database.
        await in_thread(self._launcher.make_directories, run.id, attempt)
        return submission

    def _startable(self, reader: Reader) -> bool:
        return not reader.paused() and bool(self._chosen(reader, 1))

    def _chosen(self, reader: Reader, limit: int) -> list[Run]:
        running = reader.running()
        limit = min(limit, self._most - len(running))
        if limit <= 0:
            return []
        used = sum(run.spec.setup.slots for run in running)
        return schedule(reader.pending(), slots=self._slots, used=used, limit=limit, room=reader.room())

    def _claim(self, transaction: Transaction) -> list[tuple[Run, Attempt]]:
        if transaction.paused() or self.closing:
            return []
        claimed = [self._started(transaction, run) for run in self._chosen(transaction, _STARTS)]
        for run, attempt in claimed:
            transaction.save_run(run)
            transaction.save_attempt(run.id, attempt)
        starts: dict[str | None, list[str]] = {}
        for run, _ in claimed:
            starts.setdefault(run.batch, []).append(run.id)
        for batch, ids in starts.items():
            transaction.add_event(EventKind.STARTED, now(), ids, status=Status.RUNNING, batch=batch)
        return claimed

    def _started(self, reader: Reader, run: Run) -> tuple[Run, Attempt]:
        try:
            command: Sequence[str] = self._launcher.command(reader, run.spec).argv
        except CannotStartError:
            command = ()  # told when it is started
        return lifecycle.start(run, now=now(), command=command, host=self._host, user=self._user, boot_id=self._boot_id)


def _outcome(error: OSError) -> Outcome:
    """What becomes of an attempt whose directories cannot be made."""
    words = (error.strerror or str(error)).lower()
    if error.errno in _NO_ROOM:
        return NeverRan(fault=words)
    where = "" if error.filename is None else f" ({Path(os.fsdecode(error.filename)).name})"
    return End(
        status=Status.ERROR, reason=f"could not start: its directory cannot be made: {words}{where}", stopped=now()
    )
