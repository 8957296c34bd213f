"""For whom is read, and who has the next turn.

Rules:
- What the daemon reads for itself goes before all.
- Among others it is not the order that counts, but how much of a processor the reads of each have used, where what was
  used a second ago counts half.  So who reads a little is not held up by a thousand reads of others, and those have
  their turn when they have waited for long enough.
- Reads of one asker have their turns in the order asked.
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
    """What waits for a turn, of all askers."""

    def __init__(self) -> None:
        self._waiting: dict[Use | None, deque[T]] = {}

    def add(self, use: Use | None, item: T) -> None:
        """Have ``item`` wait; ``use`` is its asker's, None the daemon's."""
        waiting = self._waiting.get(use)
        if waiting is None:
            self._waiting[use] = deque((item,))
        else:
            waiting.append(item)

    def take(self) -> T:
        """What has the next turn, raises IndexError if nothing waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        first = None if None in self._waiting else min(self._waiting, key=_rank)
        waiting = self._waiting[first]
        item = waiting.popleft()
        if not waiting:
            del self._waiting[first]
        return item


def _rank(use: Use | None) -> float:
    return -math.inf if use is None else use.rank
