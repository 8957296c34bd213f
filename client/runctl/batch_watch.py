"""What events tell of one batch: which trials start and end.  Pure.

Events before the list that the request committed are of earlier attempts, and are passed over.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Container

    from runctl.answers import EventsAnswer
    from rund.api.results import EventMap


class Told:
    """What one page of events tells: starts and ends of trials in order, and what else there is to look at."""

    __slots__ = ("changes", "forgotten", "is_over", "reset")

    def __init__(self) -> None:
        self.changes: list[tuple[str, EventMap]] = []  # (trial, its start or end)
        self.forgotten = False  # the batch itself is deleted
        self.is_over = False  # the batch has come to rest, at that moment
        self.reset = False  # some events are not kept: what runs must be looked at

    @property
    def anything(self) -> bool:
        """Whether it tells of the batch at all."""
        return bool(self.changes or self.forgotten or self.is_over or self.reset)


class BatchWatch:
    """Follows the events of one batch, from the generation that a request committed."""

    def __init__(self, batch_id: str, generation: int | None) -> None:
        self._batch = batch_id
        self._awaited = generation

    def read(self, answer: EventsAnswer, shown: Container[str]) -> Told:
        """What a page of events tells; those of trials that are ``shown`` count whoever lists them."""
        told = Told()
        if answer["reset"]:
            self._awaited = None
            told.reset = True
        for event in answer["events"]:
            if self._awaited is not None:
                self._begin(event)
            else:
                self._take(event, shown, told)
        return told

    def _begin(self, event: EventMap) -> None:
        is_ours = event["kind"] == "trials" and event["batch"] == self._batch
        if is_ours and (event["generation"] or 0) >= (self._awaited or 0):
            self._awaited = None

    def _take(self, event: EventMap, shown: Container[str], told: Told) -> None:
        kind = event["kind"]
        if self._batch in event["runs"]:
            told.is_over |= kind == "ended"
            told.forgotten |= kind in ("deleted", "purged")
        elif kind in ("started", "ended"):
            ours = event["batch"] == self._batch
            told.changes += [(run_id, event) for run_id in event["runs"] if ours or run_id in shown]
