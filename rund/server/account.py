"""What the daemon holds for its clients, in bytes: all of it is counted here.

Rules:
- Each client has an `Account`, and what is held for it is counted under one of the words of `Held` from when it is
  there until it is gone.  A client that would hold more of one kind than it may is refused that.
- All accounts together have a bound.  When it is passed the client that holds most is dropped: whoever holds little
  never pays for another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from rund.errors import FullError


class Held(StrEnum):
    """What can be held for a client, in the words that it is told."""

    UNFINISHED = "unfinished messages"
    ANSWERED = "requests that are answered"
    WAITING = "requests that wait"
    SUBSCRIBED = "subscriptions"
    UNREAD = "answers that it has not read"


class Ledger:
    """The accounts of all clients, which together may hold ``most`` bytes; ``bounds``: of each kind in one account."""

    def __init__(self, most: int, bounds: Mapping[Held, int]) -> None:
        self.bounds = bounds
        self.held = 0
        self._most = most
        self._accounts: set[Account] = set()

    def open(self, drop: Callable[[FullError], None]) -> Account:
        """An account for a new client; ``drop`` ends the client, soon."""
        account = Account(self, drop)
        self._accounts.add(account)
        return account

    def close(self, account: Account) -> None:
        """Forget an account and all that it holds."""
        if account in self._accounts:
            self._accounts.remove(account)
            self.held -= account.held
            account.drop = _nobody  # nor does it know its client any more

    def change(self, account: Account, size: int) -> None:
        """Count ``size`` bytes more, or less; may drop the client that holds most."""
        if account not in self._accounts:  # what a dropped client still holds is about to go
            return
        self.held += size
        if size > 0 and self.held > self._most:
            heaviest = max(self._accounts, key=lambda each: each.held)
            drop = heaviest.drop
            self.close(heaviest)
            drop(
                FullError(
                    f"the daemon holds too much for its clients, and most for this one ({heaviest.told()}):"
                    " send it again later"
                )
            )


class Account:
    """What one client holds."""

    def __init__(self, ledger: Ledger, drop: Callable[[FullError], None]) -> None:
        self.held = 0
        self.drop = drop
        self._ledger = ledger
        self._kinds = dict.fromkeys(Held, 0)

    def of(self, kind: Held) -> int:
        """How many bytes are held of this kind."""
        return self._kinds[kind]

    def hold(self, kind: Held, size: int) -> None:
        """Count ``size`` bytes; raises `FullError`, and counts none, if they are more than one client may hold."""
        bound = self._ledger.bounds.get(kind)
        if bound is not None and self._kinds[kind] + size > bound:
            raise FullError(
                f"the {kind} of this connection hold {self._kinds[kind]} bytes, and may hold {bound}:"
                " wait for them, or end some"
            )
        self._change(kind, size)

    def release(self, kind: Held, size: int) -> None:
        """Count ``size`` bytes no more."""
        self._change(kind, -size)

    @contextlib.contextmanager
    def holding(self, kind: Held, size: int) -> Iterator[None]:
        """Count ``size`` bytes within; raises `FullError` as `hold`."""
        self.hold(kind, size)
        try:
            yield
        finally:
            self.release(kind, size)

    def set(self, kind: Held, size: int) -> None:
        """Count ``size`` bytes instead of those counted so far."""
        if size != self._kinds[kind]:
            self._change(kind, size - self._kinds[kind])

    def close(self) -> None:
        """The client is gone, and holds nothing."""
        self._ledger.close(self)

    def told(self) -> str:
        """What is held, in words."""
        return ", ".join(f"{size} bytes of {kind}" for kind, size in self._kinds.items() if size)

    def _change(self, kind: Held, size: int) -> None:
        self._kinds[kind] += size
        self.held += size
        self._ledger.change(self, size)


def _nobody(_: FullError) -> None:
    """The client is gone already."""
