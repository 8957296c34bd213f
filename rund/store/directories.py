"""Where things lie below the home: ``runs/ab/ID``, ``attempts/ab/TOKEN``, ``sources/DIGEST``."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from rund.errors import UnsupportedError

PRIVATE = 0o700
_TAKEN = "removed"
# What a client and a daemon that was killed at once may have left.
_BEFORE_THE_DATABASE = frozenset({"lock", "start.lock", "rund.log", "socket", "runs", "attempts", "sources", _TAKEN})


class Directories:
    """The folders of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "rund.db"
        self.lock = home / "lock"
        self.socket_file = home / "socket"

    def make(self) -> None:
        """Make the home, for its owner alone.

        Raises `UnsupportedError` for a folder that holds other things: it is neither closed to others nor filled.
        """
        self.home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        others = {path.name for path in self.home.iterdir()} - _BEFORE_THE_DATABASE
        if others and not self.database.exists():
            raise UnsupportedError(
                f"{self.home} holds other things ({', '.join(sorted(others)[:3])}) and no store of rund:"
                " set RUND_HOME to a new folder"
            )
        if stat.S_IMODE(self.home.stat().st_mode) & 0o077:
            self.home.chmod(PRIVATE)
        for name in ("runs", "attempts", "sources", _TAKEN):
            (self.home / name).mkdir(mode=PRIVATE, exist_ok=True)

    def remove_halves(self) -> None:
        """Remove what a daemon that was killed left half made or half removed; only its successor may."""
        self.remove_taken()
        for folder in (self.home / "sources").glob(".copying-*"):
            shutil.rmtree(folder)

    def run(self, run_id: str) -> Path:
        """A run's own directory, its working directory."""
        return self.home / "runs" / run_id[:2] / run_id

    def attempt(self, token: str) -> Path:
        """An attempt's own directory: its output, and what its shim left."""
        return self.home / "attempts" / token[:2] / token

    def source(self, digest: str) -> Path:
        """A source's folder."""
        return self.home / "sources" / digest

    def garbage_of(self, run_id: str, tokens: list[str]) -> list[str]:
        """The folders of a run and of these attempts, relative to the home."""
        folders = [self.run(run_id), *(self.attempt(token) for token in tokens)]
        return [str(folder.relative_to(self.home)) for folder in folders]

    def take_away(self, paths: list[str], new_name: Callable[[], str]) -> None:
        """Move folders, relative to the home, to where `remove_taken` finds them; those that are not there are not."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                (self.home / path).rename(self.home / _TAKEN / new_name())

    def remove_taken(self) -> None:
        """Remove what was taken away: nothing outside it, and no symbolic link is followed."""
        with os.scandir(self.home / _TAKEN) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()

    def empty(self, run_id: str) -> None:
        """Empty a run's own directory: its content is moved away whole, then removed."""
        self.take_away([str(self.run(run_id).relative_to(self.home))], lambda: f"{run_id}-{secrets.token_hex(8)}")
        self.remove_taken()
