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


class Use:
    """How much of a processor the reads of one asker have used lately."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def lately(self, at: float) -> float:
        """Seconds of a processor, the older the less; ``at`` is the present time of a clock that never goes back."""
        return self._seconds * math.exp2((self._at - at) / _HALF)

    def add(self, seconds: float, at: float) -> None:
        """Count ``seconds`` that were used until now."""
        self._seconds = self.lately(at) + seconds
        self._at = at


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

    def take(self, at: float) -> T:
        """What has the next turn, now that it is ``at``; raises IndexError if nothing waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        if None in self._waiting:
            first = None
        else:
            first = min(self._waiting, key=lambda use: 0.0 if use is None else use.lately(at))
        waiting = self._waiting[first]
        item = waiting.popleft()
        if not waiting:
            del self._waiting[first]
        return item
