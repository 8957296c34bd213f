"""How the daemon comes to its end when a client asks for it: it does not depend on that client any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

import anyio

from rund.broker import Broker
from rund.store.store import CannotReadError, Store
from rund.store.transaction import Transaction

_RETRY: Final = 1.0  # seconds until the store is read again
_ANSWERING: Final = 1.0  # seconds that are left for the answer, when the runs have ended

_log = logging.getLogger(__name__)


class MayStart(Protocol):
    """Says whether runs may be started from now on."""

    def __call__(self, *, allowed: bool) -> None:
        """If not ``allowed``, nothing is started until it is."""
        ...


class Leaving:
    """The end of one daemon; ``told`` is set when it is to end now."""

    def __init__(self, store: Store, broker: Broker, may_start: MayStart) -> None:
        self.told = anyio.Event()
        self.by_client = False  # and not by a signal, after which another daemon is to be expected
        self._store = store
        self._broker = broker
        self._may_start = may_start
        self._asked = anyio.Event()
        self._idle = anyio.Event()

    def leave(self) -> None:
        """End now, for a client asks for it."""
        self.by_client = True
        self.told.set()

    async def after_runs(self, stop_all: Callable[[Transaction], None]) -> None:
        """Carry out ``stop_all``, start nothing more, and answer when all runs have ended and the daemon may.

        Once it is committed, it is carried through whether or not the caller stays.  Raises what the commit raises:
        then runs are started as before.
        """
        # What is queued from now on waits for the next daemon.
        self._may_start(allowed=False)
        try:
            with anyio.CancelScope(shield=True):
                await self._store.write(stop_all, urgent=True)
                self.by_client = True
                self._asked.set()
        finally:
            if not self._asked.is_set():
                self._may_start(allowed=True)
        await self._idle.wait()

    async def see_runs_out(self) -> None:
        """When that was asked for, end the daemon as soon as no run is left; a task of the daemon's own."""
        await self._asked.wait()
        while True:
            bell = self._broker.bell
            try:
                if not await self._store.read(lambda reader: reader.running()):
                    break
            except CannotReadError as error:  # the runs end all the same
                _log.error("whether runs are left cannot be told: %s", error.message)
                await anyio.sleep(_RETRY)
            else:
                await bell.wait()
        self._idle.set()
        with anyio.move_on_after(_ANSWERING):
            await self.told.wait()
        self.told.set()
