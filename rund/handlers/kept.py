"""Answers that are kept until something is committed, for those who ask the same again and again.

An answer is kept under the request's own bytes and the version of the store before it was read.  It is given again
only while SQLite says that the version is still the same: so it is what reading anew would give.
"""

from __future__ import annotations

from collections.abc import Callable

from rund.protocol.encoding import Packed

_LONGEST = 64 * 1024  # bytes of one answer
_MOST = 4 * 1024 * 1024  # bytes of all, with what they answer


class KeptAnswers:
    """Answers of one version of the store; ``version`` asks for the present one, None if it cannot be told."""

    def __init__(self, version: Callable[[], int | None]) -> None:
        self.version = version
        self._kept_at: int | None = None
        self._answers: dict[bytes, Packed] = {}
        self._bytes = 0

    def find(self, asked: bytes) -> Packed | None:
        """The answer that ``asked`` has now; None if it must be asked."""
        answer = self._answers.get(asked)
        if answer is None:
            return None
        if self.version() == self._kept_at:
            return answer
        self._forget()
        return None

    def keep(self, asked: bytes, version: int | None, answer: Packed) -> None:
        """Keep ``answer``, which was read when the store had ``version`` or a later one."""
        if not asked or version is None or len(answer.data) > _LONGEST:
            return
        if version != self._kept_at:
            self._forget()
            self._kept_at = version
        if self._bytes > _MOST:
            self._forget()
        if asked not in self._answers:
            self._answers[asked] = answer
            self._bytes += len(asked) + len(answer.data)

    def _forget(self) -> None:
        self._answers = {}
        self._bytes = 0
