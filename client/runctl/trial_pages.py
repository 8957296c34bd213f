"""A batch's trials, page by page, the same for the sync and the async client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PAGE = 10_000


class TrialPages:
    """Collects the pages of one committed list; starts afresh if the batch commits another meanwhile."""

    def __init__(self, batch: str) -> None:
        self.runs: list[Mapping[str, Any]] = []
        self._batch = batch
        self._generation: int | None = None
        self._after: str | None = None
        self._done = False

    def wanted(self) -> dict[str, Any] | None:
        """The params of the next ``list``; None when all pages are there."""
        if self._done:
            return None
        return {"batch": self._batch, "limit": _PAGE, "after": self._after}

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take the answer to it."""
        if self._after is not None and answer["generation"] != self._generation:
            self.runs, self._after = [], None
            return
        self._generation = answer["generation"]
        self.runs += answer["runs"]
        self._after = answer["next"]
        self._done = self._after is None
