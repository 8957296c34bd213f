"""The backups that a home keeps of its database, in ``backups/``: one a day, the last few of them.

Rules:

- A backup that is there stays until the new one is whole and durable.
- None is made where the disk would be short of room by it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rund import clock
from rund.errors import RundError
from rund.store.backup import HALF, back_up
from rund.store.directories import PRIVATE, Directories

DAY: Final = 86_400.0  # seconds
_PREFIX: Final = "rund-"
_SUFFIX: Final = ".db"
_SPARE: Final = 64 * 1024 * 1024  # bytes that stay free besides the backup

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup: a database in a single file, and when it was made, in seconds since 1970."""

    path: Path
    made: float


def kept_backups(folder: Path) -> list[Backup]:
    """The backups in ``folder``, the newest first; half made ones have other names.

    Last, as if they were the oldest, those of a time to come: of a clock that was wrong, nobody knows how old they are.
    """
    over = clock.now() + DAY
    try:
        files = [path for path in folder.iterdir() if path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)]
        found = [Backup(path=path, made=path.lstat().st_mtime) for path in files if path.is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda backup: (backup.made < over, backup.made, backup.path.name), reverse=True)


def newest_backup(folder: Path) -> Backup | None:
    """The backup in ``folder`` that was made last."""
    return next(iter(kept_backups(folder)), None)


def is_due(backups: list[Backup], *, now: float, first_run: float | None) -> bool:
    """Whether a backup is to be made: the last one, or where there is none the first run, is a day old.

    ``first_run``: when the first run was made, None if there is none.  Where there are none but of a time to come, of a
    clock that was set back, one is due.
    """
    made = [backup.made for backup in backups]
    last = max([moment for moment in made if moment < now + DAY] or made, default=first_run)
    return last is not None and abs(now - last) >= DAY


def make_backup(directories: Directories, *, now: float, keep: int, proceed: Callable[[], bool]) -> bool:
    """Make one more backup, and forget all but the newest ``keep``; whether it was made.  What hinders it is logged."""
    folder = directories.backups
    name = datetime.fromtimestamp(now, tz=UTC).strftime(f"{_PREFIX}%Y%m%dT%H%M%SZ{_SUFFIX}")
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        _remove_halves(folder)
        size = sum(path.stat().st_size for path in (directories.database, directories.log) if path.exists())
        if shutil.disk_usage(folder).free < size + _SPARE:
            _log.warning("there is no room for the daily backup, which takes %d bytes", size)
            return False
        back_up(directories.database, folder / name, force=True, proceed=proceed)
        for backup in kept_backups(folder)[keep:]:
            backup.path.unlink()
    except RundError as error:
        _log.warning("the daily backup was not made: %s", error.message)
        return False
    except OSError as error:
        _log.warning("the daily backup was not made: %s", error)
        return False
    return True


def _remove_halves(folder: Path) -> None:
    """Remove what a daemon that was killed left half made; only one daemon is here."""
    for path in folder.glob(f".*{HALF}*"):
        path.unlink(missing_ok=True)
