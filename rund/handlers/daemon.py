"""hello, status, shutdown."""

from __future__ import annotations

from pathlib import Path

import rund
from rund.api import PROTOCOL
from rund.api.params import HelloParams, ShutdownParams, StatusParams
from rund.errors import InvalidError, UnsupportedError
from rund.handlers.context import Call, Context, Reply
from rund.handlers.control import stop_runs
from rund.handlers.preparing import prepare
from rund.store.reader import Reader
from rund.store.transaction import Transaction


async def hello(context: Context, call: Call[HelloParams]) -> Reply:
    """Tell who this is; refuse another protocol, or another home than the client means."""
    params = call.params
    if params.protocol not in (None, PROTOCOL):
        raise UnsupportedError(
            f"protocol {params.protocol} is not spoken here: this is rund {rund.__version__} with protocol {PROTOCOL};"
            " update the older of the two"
        )
    if params.home is not None and not await _is_home(context, call, params.home):
        raise InvalidError(
            f"home: this daemon's home is {context.home}, not {params.home}: unset RUND_SOCKET or RUND_HOME",
            field="home",
        )
    return {
        "version": rund.__version__,
        "protocol": PROTOCOL,
        "home": context.home,
        "pid": context.pid,
        "limits": context.limits,
    }


async def _is_home(context: Context, call: Call[HelloParams], path: str) -> bool:
    """Whether ``path`` leads to the home, be it by symbolic links."""
    if Path(path) == Path(context.home):
        return True
    async with prepare(context.preparing, call.peer) as preparation:
        return await preparation.in_folder(path, _is_same_folder, path, context.home)


def _is_same_folder(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):  # it is not there; it holds a null byte
        return False


async def status(context: Context, _call: Call[StatusParams]) -> Reply:
    """How the daemon is, from one committed state."""

    def query(reader: Reader) -> Reply:
        return {
            "used": sum(run.spec.setup.slots for run in reader.running()),
            "paused": reader.paused(),
            "counts": {status.value: number for status, number in reader.counts().items()},
            "trash": sum(reader.counts(trash=True).values()),
        }

    return {
        "pid": context.pid,
        "version": rund.__version__,
        "home": context.home,
        "socket": context.socket,
        "started": context.started,
        "slots": context.slots,
        "settings": context.settings,
        "fault": context.store.fault,
    } | await context.store.read(query)


async def shutdown(context: Context, call: Call[ShutdownParams]) -> Reply:
    """Stop the daemon; runs go on without it, unless ``with_runs``."""
    if call.params.with_runs:

        def stop_all(transaction: Transaction) -> None:
            runs = [*transaction.running(), *transaction.waiting()]
            batches = {run.batch for run in runs if run.batch is not None}
            runs += [batch for batch in map(transaction.find, batches) if batch is not None]
            stop_runs(transaction, runs, context.now())

        await context.leaving.after_runs(stop_all)
    context.leaving.leave()
    return {}
