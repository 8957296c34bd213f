"""wait: until nothing named is running or pending, or until what runs now has ended."""

from __future__ import annotations

import math
from functools import partial

import anyio

from rund.api.params import WaitParams
from rund.handlers.context import Call, Context, Reply, resolve_all
from rund.handlers.pace import Pace
from rund.model.run import Run
from rund.model.status import LIVE, Status
from rund.store.reader import Reader


async def wait(context: Context, call: Call[WaitParams]) -> Reply:
    """Answer when none of the runs is running or pending, across restarts by others, or at the timeout.

    With ``attempts`` when those attempts have ended that run now.
    """
    params = call.params
    starts = await context.store.read(partial(_starts, names=params.runs, attempts=params.attempts))
    pace = Pace()
    with anyio.move_on_after(math.inf if params.timeout is None else params.timeout):
        while True:
            bell = context.broker.bell
            await call.peer.turn()
            reply = await context.store.read(partial(_reply, context=context, starts=starts))
            if reply["done"]:
                return reply
            call.peer.pass_turn()
            await pace.wait(bell)
    await call.peer.turn()
    return await context.store.read(partial(_reply, context=context, starts=starts))


def _starts(reader: Reader, *, names: list[str], attempts: bool) -> dict[str, int | None]:
    """What is waited for: runs by id, and of each the starts that it has had; None: also those that come later."""
    runs = resolve_all(reader, names)
    if not attempts:
        return {run.id: None for run in runs}
    trials = [trial for batch in runs if batch.is_batch for trial in reader.live_trials(batch.id)]
    return {run.id: run.starts for run in (*runs, *trials)}


def _reply(reader: Reader, *, context: Context, starts: dict[str, int | None]) -> Reply:
    """The runs as they are in one committed state, and whether what is waited for has come."""
    runs = [run for run in map(reader.find, starts) if run is not None]
    return {
        "runs": [context.run_map(reader, run) for run in runs],
        "done": not any(_holds_up(run, starts[run.id]) for run in runs),
    }


def _holds_up(run: Run, starts: int | None) -> bool:
    if starts is None:
        return run.status in LIVE
    return run.status is Status.RUNNING and run.starts == starts and not run.is_batch


async def until_ended(context: Context, ids: list[str]) -> None:
    """Wait until none of ``ids`` is running or pending."""
    pace = Pace()
    while True:
        bell = context.broker.bell
        if not await context.store.read(lambda reader: reader.live(ids)):
            return
        await pace.wait(bell)
