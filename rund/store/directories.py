"""Where things lie below the home: ``runs/ab/ID``, ``attempts/ab/TOKEN``, ``sources/DIGEST``."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rund.errors import UnsupportedError
from rund.private_folder import PRIVATE, make_private_folder
from rund.store.removal import remove_all, take

__all__ = ["PRIVATE", "Directories", "log_left"]

_log = logging.getLogger(__name__)
_TAKEN = "removed"
# What may be garbage: a damaged row must not name anything else.
_OURS = re.compile(r"(runs|attempts)/[0-9a-f]{2}/[0-9a-f]{32}(-[0-9]+)?|sources/[\w.-]+")
# What a client and a daemon that was killed at once may have left.
_BEFORE_THE_DATABASE = frozenset(
    {"lock", "start.lock", "rund.log", "rund.log.1", "socket", "runs", "attempts", "sources", _TAKEN}
)
# What tells that a folder is a home, though its database is gone.
_BESIDE_THE_DATABASE = frozenset(
    {"rund.number", "rund.db-wal", "rund.db-shm", "rund.db-journal", "reserve", "backups", "damaged"}
)


class Directories:
    """The folders of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "rund.db"
        self.log = home / "rund.db-wal"  # SQLite's, of what is not in the database yet
        self.log_number = home / "rund.number"  # see `rund.store.log_number`
        self.backups = home / "backups"
        self.reserve = home / "reserve"
        self.sources_folder = home / "sources"
        self.daemon_log = home / "rund.log"  # of a daemon that a client has started
        self.lock = home / "lock"
        self.socket_file = home / "socket"

    def make(self) -> None:
        """Make the home, for its owner alone.

        Raises `UnsupportedError` for a folder that holds other things: it is neither closed to others nor filled.
        """
        make_private_folder(self.home)
        others = {path.name for path in self.home.iterdir()} - _BEFORE_THE_DATABASE - _BESIDE_THE_DATABASE
        if others and not self.database.exists():
            raise UnsupportedError(
                f"{self.home} holds other things ({', '.join(sorted(others)[:3])}) and no store of rund:"
                " set RUND_HOME to a new folder"
            )
        if stat.S_IMODE(self.home.stat().st_mode) & 0o077:
            self.home.chmod(PRIVATE)
        for name in ("runs", "attempts", "sources", _TAKEN):
            (self.home / name).mkdir(mode=PRIVATE, exist_ok=True)

    def holds_runs(self) -> bool:
        """Whether there are folders of runs, so that there must be a database that knows them."""
        return any(any((self.home / name).glob("*/*")) for name in ("runs", "attempts"))

    def beside_the_log(self) -> list[Path]:
        """What SQLite keeps beside the database besides its log."""
        return [self.home / "rund.db-shm", self.home / "rund.db-journal"]

    def unfinished_change(self) -> bool:
        """Whether a change of the database outside its log was cut short: SQLite takes it back."""
        journal = self.home / "rund.db-journal"
        return journal.is_file() and journal.stat().st_size > 0

    def sources(self) -> list[str]:
        """The digests of all sources that are there."""
        return [path.name for path in (self.home / "sources").iterdir() if not path.name.startswith(".")]

    def halves(self) -> list[Path]:
        """Copies of sources that a daemon which was killed left half made; only its successor may tell."""
        return list((self.home / "sources").glob(".copying-*"))

    def take_halves(self, halves: list[Path]) -> None:
        """Move half made copies to where `remove_taken` finds them."""
        left = self.take_away(str(folder.relative_to(self.home)) for folder in halves)
        log_left(f"{self.home / path}: {reason}" for path, reason in left.items())

    def run(self, run_id: str) -> Path:
        """A run's own directory, its working directory."""
        return self.home / run_folder(run_id)

    def attempt(self, token: str) -> Path:
        """An attempt's own directory: its output, and what its shim left."""
        return self.home / f"attempts/{token[:2]}/{token}"

    def last_start(self, run_id: str, known: int) -> int:
        """The number of the last start of a run that has left its folder, where starts up to ``known`` are known.

        It is another one only if an earlier database was put in place: what it does not know has run all the same.
        """
        while os.path.lexists(self.attempt(f"{run_id}-{known + 1}")):
            known += 1
        return known

    def attempts(self) -> Iterator[str]:
        """The tokens of all attempts that have left a folder."""
        return (folder.name for folder in (self.home / "attempts").glob("*/*"))

    def source(self, digest: str) -> Path:
        """A source's folder."""
        return self.home / "sources" / digest

    def garbage_of_attempt(self, token: str) -> str:
        """The folder of an attempt, relative to the home."""
        return str(self.attempt(token).relative_to(self.home))

    def take_away(self, paths: Iterable[str]) -> dict[str, str]:
        """Move folders, relative to the home, to where `remove_taken` finds them; what is not there is not moved.

        Answers those that could not be moved, with why, in lower case.
        """
        chosen = list(paths)
        strange = {path: "it is no folder of rund's" for path in chosen if not _OURS.fullmatch(path)}
        return strange | self._take(path for path in chosen if path not in strange)

    def _take(self, paths: Iterable[str]) -> dict[str, str]:
        left: dict[str, str] = {}
        with contextlib.ExitStack() as opened:
            home = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, home)
            for path in paths:
                try:
                    take(home, path, _TAKEN, f"{path.rpartition('/')[2]}-{secrets.token_hex(8)}")
                except OSError as error:
                    left[path] = str(error.strerror or error).lower()
        return left

    def remove_taken(self, is_given_up: Callable[[], bool]) -> list[str]:
        """Remove what was taken away, as far as can be; nothing outside it, and no symbolic link is followed.

        Answers what cannot be removed, each as ``PATH: why``; it is tried again the next time, and so is the rest if
        ``is_given_up``.
        """
        return remove_all(self.home / _TAKEN, is_given_up)

    def empty(self, run_id: str) -> None:
        """Empty a run's own directory: its content is moved away whole, for `remove_taken`.  Raises OSError."""
        folder = str(self.run(run_id).relative_to(self.home))
        for reason in self._take([folder]).values():
            raise OSError(errno.EBUSY, f"it cannot be emptied: {reason}", folder)


def log_left(left: Iterable[str]) -> None:
    """Log what could not be removed."""
    for what in left:
        _log.warning("%s; it is left", what)


def run_folder(run_id: str) -> str:
    """A run's own directory, relative to the home."""
    return f"runs/{run_id[:2]}/{run_id}"
