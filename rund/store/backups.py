"""The backups that a home keeps of its database, in ``backups/``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PREFIX: Final = "rund-"
_SUFFIX: Final = ".db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup: a database in a single file, and when it was made, in seconds since 1970."""

    path: Path
    made: float


def kept_backups(folder: Path) -> list[Backup]:
    """The backups in ``folder``, the newest first; half made ones have other names."""
    try:
        files = [path for path in folder.iterdir() if path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)]
        found = [Backup(path=path, made=path.stat().st_mtime) for path in files if path.is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda backup: (backup.made, backup.path.name), reverse=True)


def newest_backup(folder: Path) -> Backup | None:
    """The backup in ``folder`` that was made last."""
    return next(iter(kept_backups(folder)), None)
