"""What handlers work with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rund.api.params import Params
from rund.api.results import RunMap, batch_map, run_map
from rund.broker import Broker
from rund.engine.schedule import short_wait
from rund.errors import ConflictError, InvalidError
from rund.handlers.leaving import Leaving
from rund.handlers.peer import Peer
from rund.handlers.preparing import Preparing
from rund.model.run import Run
from rund.model.status import Status
from rund.operations.source import Sources
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction

Reply = dict[str, Any]  # what the wire carries
AnyParams = TypeVar("AnyParams", bound=Params)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """A request that named itself: ``digest`` is of its method and params."""

    request_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[AnyParams]):
    """One request: who asks, and for what."""

    peer: Peer
    params: AnyParams
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The daemon, as handlers see it."""

    store: Store
    sources: Sources
    broker: Broker
    slots: int
    home: str
    socket: str
    pid: int
    started: float  # seconds since 1970
    settings: list[dict[str, Any]]  # name, value, origin, help
    limits: dict[str, int]
    now: Callable[[], float]
    new_id: Callable[[], str]
    leaving: Leaving
    preparing: Preparing

    def run_map(self, reader: Reader, run: Run) -> RunMap:
        """The wire's map of ``run``, from the state that ``reader`` sees."""
        directory = str(self.store.directories.run(run.id))
        if not run.is_batch:
            return run_map(run, directory, reason=self._reason(reader, run))
        optimizer, max_trials = reader.options(run.id)
        return batch_map(run, directory, optimizer=optimizer, max_trials=max_trials, counts=reader.trial_counts(run.id))

    def _reason(self, reader: Reader, run: Run) -> str | None:
        """Why it is pending, in a few words; else why it ended.  Of a damaged one what is wrong with it."""
        if run.damage is not None:
            return f"damaged: {run.damage}"
        if run.status is not Status.PENDING:
            return run.reason
        paused, full = reader.is_paused(run), run.batch is not None and reader.is_full(run.batch)
        return short_wait(run, paused=paused, batch_full=full)

    async def change(
        self, request: RequestKey | None, change: Callable[[Transaction], Reply], *, urgent: bool = False
    ) -> Reply:
        """The reply of ``change``, after its commit; of a request that was made before, the reply of then.

        ``urgent``: see `rund.store.writer.Writer.write`.
        Raises `ConflictError` if the request's id was used with other params, and what ``change`` raises.
        """
        if request is None:
            return await self.store.write(change, urgent=urgent)

        def once(transaction: Transaction) -> Reply:
            reply = first_reply(transaction, request)
            if reply is None:
                reply = change(transaction)
                transaction.save_reply(request.request_id, request.digest, reply, self.now())
            return reply

        return await self.store.write(once, urgent=urgent)


def first_reply(reader: Reader, request: RequestKey) -> Reply | None:
    """The reply that this request got before; None if it is new.  Raises `ConflictError`, see `Context.change`."""
    found = reader.reply(request.request_id)
    if found is None:
        return None
    digest, reply = found
    if digest != request.digest:
        raise ConflictError(
            f"request_id: {request.request_id!r} was used for another request: take a new one for each request",
            field="request_id",
        )
    first: Reply = json.loads(reply)
    return first


def check_whole(run: Run) -> Run:
    """``run``; raises `InvalidError` if it is damaged, and so cannot be started."""
    if run.damage is not None:
        raise InvalidError(
            f"run {run.id[:8]} is damaged ({run.damage}), and is not started: show tells where its files are;"
            f" `runctl delete {run.id[:8]}` takes it away"
        )
    return run


def resolve_all(reader: Reader, names: list[str], *, trash: bool = False) -> list[Run]:
    """The runs that ``names`` mean, each once, in their order; raises what `Reader.resolve` raises."""
    found = {run.id: run for run in (reader.resolve(name, trash=trash) for name in dict.fromkeys(names))}
    return list(found.values())
