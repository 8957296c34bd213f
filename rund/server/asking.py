"""One request as its handler sees who asked: a `rund.handlers.peer.Peer` with the turn to answer.

Nothing more is made for a client that has not taken what it was answered before: what is held for one that asks and
does not read is an answer or two, however much it asks for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from rund.server.session import Session


class Asking:
    """A request of ``session`` that holds about ``holds`` bytes."""

    __slots__ = ("_has_turn", "_holds", "_session")

    def __init__(self, session: Session, holds: int = 0) -> None:
        self._session = session
        self._holds = holds
        self._has_turn = False

    async def turn(self) -> None:
        """Wait until no other answer to this client is being made or written; it is this one's turn to the end."""
        if not self._has_turn:
            try:
                self._session.turn.acquire_nowait()  # also for a client that is being ended: its answer may go yet
            except anyio.WouldBlock:
                await self._session.turn.acquire()
            self._has_turn = True

    def pass_turn(self) -> None:
        """Let the next have its turn, for this one is answered, given up or has nothing to answer yet."""
        if self._has_turn:
            self._has_turn = False
            self._session.turn.release()

    def has_left(self) -> bool:
        """Whether the client is gone, and hears of no answer."""
        return self._session.has_left()

    async def notify(self, method: str, params: list[Any]) -> None:
        """Send a notification, in a turn of its own; returns when it is written."""
        await self._session.notify(method, params)

    def start(self, stream: Callable[[], Awaitable[None]]) -> int:
        """Run ``stream`` for as long as the connection lives, after this request is answered; answers its number."""
        return self._session.subscriptions.add(stream, self._holds)

    def cancel(self, number: int | None) -> int:
        """End stream ``number`` (None: all of this connection); answers how many were ended."""
        return self._session.subscriptions.cancel(number)
