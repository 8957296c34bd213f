"""What a handler and the server know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rund.protocol.encoding import Packed
from rund.protocol.messages import Request


class Peer(Protocol):
    """The connection that a request came by."""

    async def turn(self) -> None:
        """Wait until the client has taken what it was answered before; the next answer is this request's.

        A request that may wait calls it before it makes an answer that may be large.
        """
        ...

    def pass_turn(self) -> None:
        """Let others answer first, for there is nothing to answer yet."""
        ...

    def has_left(self) -> bool:
        """Whether the client is gone, and hears of no answer."""
        ...

    async def notify(self, method: str, params: list[Any]) -> None:
        """Send a notification; returns when it is written.  Raises what ends the connection if it cannot be."""
        ...

    def start(self, stream: Callable[[], Awaitable[None]]) -> int:
        """Run ``stream`` beside the requests, for as long as the connection lives; answers its number.

        Raises `rund.errors.FullError` if the connection has as many as it may.
        """
        ...

    def cancel(self, number: int | None) -> int:
        """End stream ``number`` (None: all of this connection); answers how many were ended."""
        ...


class Answerer(Protocol):
    """What answers requests."""

    def waits(self, request: Request) -> bool:
        """Whether this request may wait, and so must hold up no other of its connection."""
        ...

    def kept(self, request: Request) -> Packed | None:
        """What the same request was answered before, if that is still its answer; None if that is not known."""
        ...

    async def answer(self, peer: Peer, request: Request) -> object:
        """The result of a request.  Raises `rund.errors.RundError` for every answer but success."""
        ...
