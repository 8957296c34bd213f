"""The runs of a listing are packed where they are read: all at once they would hold up everybody."""

from __future__ import annotations

from typing import Any, cast

import msgpack
import pytest

from rund.api.params import ListParams
from rund.broker import Broker
from rund.handlers import listing
from rund.handlers.context import Call, Context
from rund.handlers.dispatch import Dispatcher
from rund.handlers.leaving import Leaving
from rund.handlers.peer import Peer
from rund.handlers.preparing import Preparing, open_preparing
from rund.operations.source import Sources
from rund.protocol.encoding import Packed
from rund.protocol.messages import Request
from rund.store.directories import Directories
from rund.store.store import Store
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio

NOBODY = cast("Peer", None)  # whom a listing needs nothing of


def context(store: Store, broker: Broker, preparing: Preparing) -> Context:
    """A daemon as handlers see it."""
    return Context(
        store=store,
        sources=Sources(store.directories.sources_folder),
        broker=broker,
        slots=1,
        home=str(store.directories.home),
        socket="",
        pid=0,
        started=0.0,
        settings=[],
        limits={},
        now=lambda: 1.0,
        new_id=lambda: "0" * 32,
        leaving=Leaving(store, broker, lambda *, allowed: None),
        preparing=preparing,
    )


async def test_the_runs_of_a_listing_are_packed_one_by_one_in_the_thread_that_reads(
    directories: Directories, add_run: AddRun
) -> None:
    broker = Broker()
    store = Store(directories, broker.ring)
    for number in range(30):
        await store.write(lambda transaction, number=number: add_run(transaction, number))
    async with open_preparing() as preparing:
        daemon = context(store, broker, preparing)
        reply: dict[str, Any] = await listing.list_runs(daemon, Call(peer=NOBODY, params=ListParams(limit=25)))
        assert isinstance(reply["runs"], Packed)
        answer = await Dispatcher(daemon).answer(NOBODY, Request(1, "list", [{"limit": 25}]))
    assert isinstance(answer, Packed)
    told = msgpack.unpackb(answer.data)
    assert told == {**reply, "runs": msgpack.unpackb(reply["runs"].data)}
    assert len({run["id"] for run in told["runs"]}) == 25
    assert told["total"] == 30
    await store.close()
