"""Why not everything can be written now, and what those are told whose changes were not."""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from rund.errors import FullError, InternalError, RundError
from rund.store.reserve import is_full

_FULL: Final = "the disk that holds rund's home is full"
_NOTHING: Final = "nothing was changed"
_log = logging.getLogger(__name__)


class WriteFaults:
    """The present fault, logged when it comes and when it goes.  Changed by one thread, read by any."""

    def __init__(self) -> None:
        self.present: str | None = None

    def note(self, fault: str | None) -> None:
        """Keep the present fault; None: there is none any more."""
        if fault is not None and self.present is None:
            _log.error("%s: what cannot be written waits, or is refused", fault)
        if fault is None and self.present is not None:
            _log.warning("the store can be written again")
        self.present = fault

    def note_full(self) -> None:
        """The disk is full."""
        self.note(_FULL)

    def full(self) -> FullError:
        """What to tell of a change for which there is no room."""
        self.note_full()
        return FullError(f"{_FULL}: {_NOTHING}; free some space and try again")

    def missing(self, what: str) -> InternalError:
        """What to tell of a change that is not written because of ``what`` became of the database's files."""
        self.note(what)
        return InternalError(f"{_NOTHING}: {what}")

    def refused(self, error: sqlite3.Error | OSError) -> RundError:
        """What to tell of a change that ``error`` hindered."""
        if is_full_disk(error):
            return self.full()
        # The disk's faults are the user's to mend; where in the code they are met helps nobody.
        fault = None if isinstance(error, OSError | sqlite3.OperationalError) else error
        _log.error("a change could not be written: %s", error, exc_info=fault)
        return InternalError(f"the store could not be written ({error}): {_NOTHING}; the daemon's log tells more")


def is_full_disk(error: sqlite3.Error | OSError) -> bool:
    """Whether ``error`` tells of a full disk."""
    if isinstance(error, OSError):
        return is_full(error)
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL
