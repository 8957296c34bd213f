"""events, subscribe, unsubscribe: a subscriber is a cursor, not a queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from rund.api.params import EventsParams, SubscribeParams, UnsubscribeParams
from rund.api.results import event_map
from rund.handlers.context import Call, Context, Reply
from rund.handlers.pace import Pace
from rund.handlers.peer import Peer
from rund.model.event import Event
from rund.store.reader import Reader

_BATCH = 100


async def events(context: Context, call: Call[EventsParams]) -> Reply:
    """The events after a number; waits up to ``timeout`` for the first.

    There are ``limit`` at most, and fewer where they name many runs.  ``reset``: what came after that number is not
    kept any more, or never was: start afresh from ``last``.
    """
    params = call.params
    after = params.after
    pace = Pace()
    with anyio.move_on_after(params.timeout):
        while True:
            bell = context.broker.bell
            await call.peer.turn()
            found, last, reset = await _read(context, after, params.limit)
            after = last if after is None else after
            if found or reset or not params.timeout:
                return _reply(found, last, reset=reset)
            call.peer.pass_turn()
            await pace.wait(bell)
    await call.peer.turn()
    found, last, reset = await _read(context, after, params.limit)
    return _reply(found, last, reset=reset)


def _reply(found: list[Event], last: int, *, reset: bool) -> Reply:
    number = found[-1].number if found else last
    return {"events": [event_map(event) for event in found], "last": number, "reset": reset}


async def _read(context: Context, after: int | None, limit: int) -> tuple[list[Event], int, bool]:
    """(events after ``after``, the number of the last there is, whether some between are gone)."""

    def query(reader: Reader) -> tuple[list[Event], int, bool]:
        last = reader.last_event()
        if after is None:
            return [], last, False
        if after > last or after < reader.first_event() - 1:
            return [], last, True
        return reader.events(after, limit), last, False

    return await context.store.read(query)


async def subscribe(context: Context, call: Call[SubscribeParams]) -> Reply:
    """Send events as notifications from now on, or from after a number."""
    params = call.params
    _, last, reset = await _read(context, params.after, 1)
    cursor = last if reset or params.after is None else params.after
    number = call.peer.start(_stream(context, call.peer, cursor, params.method, params.prefix))
    return {"subscription": number, "last": cursor, "reset": reset}


def _stream(context: Context, peer: Peer, after: int, method: str, prefix: list[Any]) -> Callable[[], Awaitable[None]]:
    """What sends the events after ``after`` for ever.

    With a ``prefix`` the event comes after it as a list of one argument, for that is how functions that call
    others take them: ``nvim_exec_lua`` with its code, ``nvim_call_function`` with a name.
    """

    async def stream() -> None:
        cursor = after
        pace = Pace()
        while True:
            bell = context.broker.bell
            found, last, reset = await _read(context, cursor, _BATCH)
            if reset:
                await peer.notify(method, _arguments(prefix, {"kind": "reset", "number": last, "runs": []}))
                cursor = last
            for event in found:
                await peer.notify(method, _arguments(prefix, dict(event_map(event))))
                cursor = event.number
            if not found:
                await pace.wait(bell)

    return stream


def _arguments(prefix: list[Any], event: dict[str, Any]) -> list[Any]:
    return [*prefix, [event]] if prefix else [event]


async def unsubscribe(_context: Context, call: Call[UnsubscribeParams]) -> Reply:
    """End a subscription, or all of this connection."""
    return {"ended": call.peer.cancel(call.params.subscription)}
