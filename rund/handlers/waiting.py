"""wait: until nothing named is running or pending."""

from __future__ import annotations

import math

import anyio

from rund.api.params import WaitParams
from rund.handlers.context import Call, Context, Reply, resolve_all


async def wait(context: Context, call: Call[WaitParams]) -> Reply:
    """Answer when none of the runs is running or pending, across restarts by others, or at the timeout."""
    names = call.params.runs
    ids = [run.id for run in await context.store.read(lambda reader: resolve_all(reader, names))]
    done = await until_ended(context, ids, call.params.timeout)
    runs = await context.store.read(lambda reader: [reader.find(run_id) for run_id in ids])
    return {"runs": [context.run_map(run) for run in runs if run is not None], "done": done}


async def until_ended(context: Context, ids: list[str], timeout: float | None) -> bool:  # noqa: ASYNC109 - of the wire
    """Wait until none of ``ids`` is running or pending; False if ``timeout`` seconds were not enough."""
    with anyio.move_on_after(math.inf if timeout is None else timeout):
        while True:
            bell = context.broker.bell
            if not await context.store.read(lambda reader: reader.live(ids)):
                return True
            await bell.wait()
    return not await context.store.read(lambda reader: reader.live(ids))
