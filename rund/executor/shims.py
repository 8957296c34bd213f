"""The live shims: watched by their pidfds, and given another attempt by their leashes.

Rules:

- What a shim says by its leash is no fact: it tells when to look at the attempt's files, and that it may get another.
- A shim that was ever signalled gets no other attempt, for the signal was not meant for that.
- A request reaches a shim whole or not at all; a shim that it may not have reached is let go.
- Leashes are a matter of speed: a shim without one, of which there may be any number, ends with its attempt.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_ATTEMPTS: Final = 1_000  # of one shim, for it collects no garbage
IDLE: Final = 0.5  # seconds that a shim is kept without an attempt
_TOKEN_SIZE: Final = 256


class Shim:
    """A shim: its pidfd, its leash if it has one, and the token of its attempt if it has one now."""

    __slots__ = ("attempts", "leash", "pidfd", "signalled", "token")

    def __init__(self, pidfd: int, leash: socket.socket | None = None) -> None:
        self.pidfd = pidfd
        self.leash = leash
        self.token: str | None = None
        self.attempts = 0
        self.signalled = False

    def hand(self, request: bytes, lock: int) -> bool:
        """Give it another attempt, with its lock; whether that worked.

        The request has at most `rund.executor.shim_request.MOST_AGAIN` bytes.
        """
        if self.leash is None:
            return False
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [lock]))]
        try:
            self.leash.sendmsg([request], passed, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def has_ended_attempt(self) -> bool:
        """Whether that is what it said by its leash, which has something to be read."""
        with contextlib.suppress(OSError):
            said = b"" if self.leash is None else self.leash.recv(_TOKEN_SIZE, socket.MSG_DONTWAIT)
            return said != b"" and said == os.fsencode(self.token or "")
        return False

    def stop(self) -> None:
        """Have it end its attempt."""
        self.signalled = True
        with contextlib.suppress(OSError):  # it has just ended
            signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)
            signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)

    def let_go(self) -> None:
        """Have it end when it has no attempt any more."""
        if self.leash is not None:
            self.leash.close()
            self.leash = None

    def close(self) -> None:
        """Leave it alone."""
        self.let_go()
        os.close(self.pidfd)


class Shims:
    """The live shims of one backend, at most so many with ``leashes``.

    ``over`` is told the tokens of attempts that their shims have done with.
    """

    def __init__(self, over: Callable[[list[str]], None], *, leashes: int) -> None:
        self._over = over
        self._most_leashes = leashes
        self._loop: asyncio.AbstractEventLoop
        self._epoll: select.epoll
        self._watched: dict[int, Shim] = {}  # by pidfd, and by leash
        self._leashes = 0  # of shims that have an attempt
        self._idle: deque[tuple[float, Shim]] = deque()  # and the loop's time since when, the longest first
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to watch; called in the loop."""
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        # It stays registered: to do that for each end would cost more than the rest.
        self._loop.add_reader(self._epoll.fileno(), self._take_news)

    def close(self) -> None:
        """Leave all of them alone."""
        self._loop.remove_reader(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
        for shim in {*self._watched.values(), *(shim for _, shim in self._idle)}:
            shim.close()
        self._watched.clear()
        self._idle.clear()
        self._epoll.close()

    def watch(self, shim: Shim, token: str) -> None:
        """Watch ``shim``, which has this attempt from now on."""
        shim.token = token
        shim.attempts += 1
        if self._leashes + len(self._idle) >= self._most_leashes:
            shim.let_go()
        if shim.leash is not None:
            self._leashes += 1
            self._register(shim.leash.fileno(), shim)
        self._register(shim.pidfd, shim)

    @property
    def spare_leashes(self) -> int:
        """How many shims more may have one."""
        return self._most_leashes - self._leashes - len(self._idle)

    def take(self, most: int) -> list[Shim]:
        """Up to so many shims that have no attempt; whoever asks hands them one, closes them or gives them back."""
        return [self._idle.pop()[1] for _ in range(min(most, len(self._idle)))]

    def keep(self, shim: Shim) -> None:
        """Keep a shim that has no attempt for a while."""
        self._idle.append((self._loop.time(), shim))
        if self._timer is None:
            self._timer = self._loop.call_later(IDLE, self._close_idle)

    def kill(self, shim: Shim) -> None:
        """End a shim at once, which is known to do nothing for the attempt that it has."""
        self._unwatch(shim)
        with contextlib.suppress(OSError):  # it has just ended
            signal.pidfd_send_signal(shim.pidfd, signal.SIGKILL)
        shim.close()

    def _register(self, descriptor: int, shim: Shim) -> None:
        self._watched[descriptor] = shim
        self._epoll.register(descriptor, select.EPOLLIN)

    def _forget(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._epoll.unregister(descriptor)

    def _take_news(self) -> None:
        over: list[str] = []
        for descriptor, _ in self._epoll.poll(0):
            shim = self._watched.get(descriptor)
            if shim is None or shim.token is None:
                continue  # of one that was closed, or kept, just now
            if descriptor == shim.pidfd:
                over.append(shim.token)
                self._unwatch(shim)
                shim.close()
            elif shim.has_ended_attempt():
                over.append(shim.token)
                self._unwatch(shim)
                if shim.signalled or shim.attempts >= MOST_ATTEMPTS:
                    shim.close()
                else:
                    self.keep(shim)
            else:  # it is ending, and its pidfd tells
                self._drop_leash(shim)
        if over:
            self._over(over)

    def _unwatch(self, shim: Shim) -> None:
        shim.token = None
        self._forget(shim.pidfd)
        if shim.leash is not None:
            self._leashes -= 1
            self._forget(shim.leash.fileno())

    def _drop_leash(self, shim: Shim) -> None:
        if shim.leash is not None:
            self._leashes -= 1
            self._forget(shim.leash.fileno())
            shim.let_go()

    def _close_idle(self) -> None:
        """Let those go that have waited long enough."""
        self._timer = None
        long_since = self._loop.time() - IDLE
        while self._idle and self._idle[0][0] <= long_since:
            self._idle.popleft()[1].close()
        if self._idle:
            self._timer = self._loop.call_at(self._idle[0][0] + IDLE, self._close_idle)
