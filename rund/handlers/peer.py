"""What a handler and the server know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Peer(Protocol):
    """The connection that a request came by."""

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

    def waits(self, method: str, params: object) -> bool:
        """Whether this request may wait, and so must hold up no other of its connection."""
        ...

    async def answer(self, peer: Peer, method: str, params: object) -> object:
        """The result of a request.  Raises `rund.errors.RundError` for every answer but success."""
        ...
