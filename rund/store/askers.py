"""For whom is read, and who has the next turn.

Rules:
- What the daemon reads for itself goes before all.
- Among others it is not the order that counts, but how much of a processor the reads of each have used, where what was
  used a second ago counts half.  So who reads a little is not held up by a thousand reads of others, and those have
  their turn when they have waited for long enough.
- Reads of one asker have their turns in the order asked, and do not have all at once: there is one for others.
"""

from __future__ import annotations

import math
from collections import deque
from contextvars import ContextVar
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_HALF: Final = 1.0  # seconds after which what was used counts half
_NEW: Final = 0.05  # seconds that who is new counts as having used
_LEAST: Final = 1e-9


class Use:
    """How much of a processor the reads of one asker have used lately, as ``rank``: who has less of it goes first.

    All that was used fades at one pace, so the order of two askers changes only when one of them uses more.
    """

    __slots__ = ("rank",)

    def __init__(self, at: float) -> None:
        # Who is new counts as one that has used a little: a thousand new ones do not go before one that stays.
        self.rank = math.log2(_NEW) + at / _HALF

    def add(self, seconds: float, at: float) -> None:
        """Count ``seconds`` that were used until ``at``, by a clock that never goes back."""
        used = math.exp2(self.rank - at / _HALF) + seconds
        self.rank = math.log2(max(used, _LEAST)) + at / _HALF


asker: ContextVar[Use | None] = ContextVar("asker", default=None)  # for whom this task reads; None: for the daemon


class Turns(Generic[T]):
    """What waits for a turn, of all askers, none of whom but the daemon has more than ``most`` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Use | None, deque[T]] = {}
        self._taken: dict[Use, int] = {}  # turns that each asker has now
        self._refused = 0  # turns for which there was nothing to take

    def add(self, use: Use | None, item: T) -> None:
        """Have ``item`` wait; ``use`` is its asker's, None the daemon's."""
        waiting = self._waiting.get(use)
        if waiting is None:
            self._waiting[use] = deque((item,))
        else:
            waiting.append(item)

    def take(self) -> T | None:
        """What has the next turn; None if nothing may have one before an `end`, which says when."""
        may = [use for use in self._waiting if use is None or self._taken.get(use, 0) < self._most]
        if not may:
            self._refused += bool(self._waiting)
            return None
        first = min(may, key=_rank)
        waiting = self._waiting[first]
        item = waiting.popleft()
        if not waiting:
            del self._waiting[first]
        if first is not None:
            self._taken[first] = self._taken.get(first, 0) + 1
        return item

    def end(self, use: Use | None) -> bool:
        """Note that a turn of ``use`` is over; whether one that was refused can be had now."""
        if use is None:
            return False
        self._taken[use] -= 1
        if not self._taken[use]:
            del self._taken[use]
        again = self._refused > 0 and use in self._waiting
        self._refused -= again
        return again

    def clear(self) -> list[T]:
        """All that waits, which has no turn any more."""
        left = [item for waiting in self._waiting.values() for item in waiting]
        self._waiting.clear()
        self._refused = 0
        return left


def _rank(use: Use | None) -> float:
    return -math.inf if use is None else use.rank
