"""The streams that one client has asked for: they run beside its requests until they, or it, are ended."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from rund.errors import FullError, RundError
from rund.server.account import Account, Held
from rund.server.stream import PeerGoneError

_log = logging.getLogger(__name__)
Stream = Callable[[], Awaitable[None]]


class Subscriptions:
    """The streams of one client; ``end`` ends the client, with the reason unless that is a fault of rund."""

    def __init__(self, account: Account, most: int, end: Callable[[PeerGoneError | RundError | None], None]) -> None:
        self._account = account
        self._most = most
        self._end = end
        self._numbers = itertools.count(1)
        self._open: dict[int, tuple[anyio.CancelScope, int]] = {}  # with the bytes that each holds
        self._to_begin: list[tuple[int, Stream]] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._open)

    def add(self, stream: Stream, holds: int) -> int:
        """Take a stream that `begin` begins; answers its number.  Raises `FullError` if it is one too many."""
        if len(self._open) >= self._most:
            raise FullError(f"this connection has {len(self._open)} subscriptions and may have no more: end one first")
        self._account.hold(Held.SUBSCRIBED, holds)
        number = next(self._numbers)
        self._open[number] = anyio.CancelScope(), holds
        self._to_begin.append((number, stream))
        return number

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Begin what was added since."""
        for number, stream in self._to_begin:
            tasks.start_soon(self._run, number, stream)
        self._to_begin = []

    def cancel(self, number: int | None) -> int:
        """End stream ``number`` (None: all); answers how many were ended."""
        numbers = list(self._open) if number is None else [number]
        return sum(self._forget(each) for each in numbers)

    def _forget(self, number: int) -> bool:
        scope, holds = self._open.pop(number, (None, 0))
        if scope is None:
            return False
        self._account.release(Held.SUBSCRIBED, holds)
        scope.cancel()
        return True

    async def _run(self, number: int, stream: Stream) -> None:
        scope, _ = self._open.get(number, (None, 0))
        if scope is None:  # ended before it began
            return
        try:
            with scope:
                await stream()
        except (PeerGoneError, RundError) as error:
            self._end(error)
        except Exception:  # noqa: BLE001 - logged, and ends the connection
            _log.exception("a subscription ended by a fault of rund; its connection is closed")
            self._end(None)
        finally:
            self._forget(number)
