"""What was found, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # nothing is wrong; worth knowing
    FIXED = "fixed"  # it was wrong, and was mended now
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: what was found, and what to do where it is wrong."""

    check: str  # home, disk, folders, store, backups, settings; the client's: daemon, socket, unit
    level: Level
    what: str
    todo: str | None = None


def ok(check: str, what: str) -> Finding:
    """All is well with ``check``."""
    return Finding(check=check, level=Level.OK, what=what)


def note(check: str, what: str, todo: str | None = None) -> Finding:
    """Worth knowing."""
    return Finding(check=check, level=Level.NOTE, what=what, todo=todo)


def wrong(check: str, what: str, todo: str) -> Finding:
    """It is wrong, and this is to be done."""
    return Finding(check=check, level=Level.WRONG, what=what, todo=todo)


def fixed(check: str, what: str) -> Finding:
    """It was wrong, and was mended."""
    return Finding(check=check, level=Level.FIXED, what=what)
