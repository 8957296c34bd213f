"""Reads events, replies, and what the daemon itself remembers."""

from __future__ import annotations

from typing import Final

from rund.model.event import Event
from rund.store.codec import event_from_row
from rund.store.contents import ContentReader

_PAGE: Final = 1024 * 1024  # bytes of a page of events: an event names each run that it is of


class JournalReader(ContentReader):
    """What happened, what was answered, and what is to be remembered."""

    def last_event(self) -> int:
        """The number of the last event; 0 if there was none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def first_event(self) -> int:
        """The number of the first event that is kept; one after the last if none is."""
        row = self._connection.execute("SELECT min(number) FROM events").fetchone()
        return self.last_event() + 1 if row[0] is None else int(row[0])

    def events(self, after: int, limit: int) -> list[Event]:
        """The events after number ``after``, in order: ``limit`` at most, and fewer where they name many runs.

        At least one is answered if there is any.
        """
        rows = self._connection.execute(
            "SELECT number, time, kind, runs, status, reason, batch, generation FROM events "
            "WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        found: list[Event] = []
        size = 0
        for row in rows:
            size += len(row[3])
            if found and size > _PAGE:
                break
            found.append(event_from_row(row))
        return found

    def reply(self, request_id: str) -> tuple[str, str] | None:
        """(digest of the request, its first reply as JSON) of a request that named itself; None if it is new."""
        row = self._connection.execute(
            "SELECT request, reply FROM replies WHERE request_id = ?", (request_id,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def paused(self) -> bool:
        """Whether nothing new is to start."""
        return self._connection.execute("SELECT 1 FROM settings WHERE name = 'paused'").fetchone() is not None

    def garbage(self, limit: int) -> list[str]:
        """Folders, relative to the home, that nothing needs any more."""
        return [row[0] for row in self._connection.execute("SELECT path FROM garbage LIMIT ?", (limit,))]
