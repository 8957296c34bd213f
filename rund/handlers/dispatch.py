"""From a method's name to its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rund.api.params import METHODS, read_params
from rund.errors import InvalidError
from rund.handlers import backup, control, daemon, events, labels, listing, output, restart, run, trash, waiting
from rund.handlers.context import Call, Context, first_reply
from rund.handlers.kept import KeptAnswers
from rund.handlers.peer import Peer
from rund.handlers.request_key import request_key
from rund.protocol.encoding import Packed, pack
from rund.protocol.messages import Request
from rund.threads import in_thread

Handler = Callable[[Context, Call[Any]], Awaitable[Any]]

HANDLERS: dict[str, Handler] = {
    "hello": daemon.hello,
    "run": run.run,
    "restart": restart.restart,
    "start": control.start,
    "stop": control.stop,
    "delete": trash.delete,
    "restore": trash.restore,
    "purge": trash.purge,
    "list": listing.list_runs,
    "show": listing.show,
    "trials": listing.trials,
    "output": output.output,
    "wait": waiting.wait,
    "set": labels.set_attrs,
    "events": events.events,
    "subscribe": events.subscribe,
    "unsubscribe": events.unsubscribe,
    "status": daemon.status,
    "pause": control.pause,
    "resume": control.resume,
    "backup": backup.backup,
    "shutdown": daemon.shutdown,
}

# Requests that may wait for something else to happen, and so hold up no other of their connection.
WAITING = frozenset({"output", "wait", "events", "backup", "shutdown"})


# Requests whose answer is of the store alone, and the same until something is committed.
KEPT = frozenset({"list", "show", "trials"})
_LONG_NAME = 100  # characters
_LARGE = 64 * 1024  # bytes of memory; what is made of a larger request is made in a thread


class Dispatcher:
    """Answers requests: the server's `rund.handlers.peer.Answerer`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept = KeptAnswers(context.store.version)

    def waits(self, request: Request) -> bool:
        """Whether this request may wait."""
        if request.method == "delete":
            params = request.params
            asked = params[0] if isinstance(params, list) and params else params
            return isinstance(asked, dict) and bool(asked.get("stop"))
        return request.method in WAITING

    def kept(self, request: Request) -> Packed | None:
        """What the same request was answered before, if nothing was committed since; None if that is not known."""
        return self._kept.find(request.asked)

    async def answer(self, peer: Peer, request: Request) -> object:
        """The result of a request; raises `rund.errors.RundError`."""
        if request.method not in KEPT:
            return await self._answer(peer, request)
        version = self._kept.version()  # before it is read: a commit meanwhile makes it one that is not found again
        answer = pack(await self._answer(peer, request))
        self._kept.keep(request.asked, version, answer)
        return answer

    async def _answer(self, peer: Peer, request: Request) -> object:
        method = request.method
        if method not in HANDLERS:
            raise InvalidError(f"unknown method {_shortened(method)!r}: there are {', '.join(HANDLERS)}")
        typed = read_params(METHODS[method], request.params)
        key = await in_thread(request_key, method, typed) if request.holds > _LARGE else request_key(method, typed)
        if key is not None:
            # Before anything is read or copied for it: the first reply stands, whatever has changed since.
            reply = await self._context.store.read(lambda reader: first_reply(reader, key))
            if reply is not None:
                return reply
        return await HANDLERS[method](self._context, Call(peer=peer, params=typed, request=key))


def _shortened(name: str) -> str:
    return name if len(name) <= _LONG_NAME else f"{name[:_LONG_NAME]}..."
