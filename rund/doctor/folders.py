"""Whether the folders of a home are there, are folders, and are their owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from rund.doctor.finding import Finding, Level, fixed, ok, wrong

_FOLDERS: Final = ("runs", "attempts", "sources", "removed")
_LOG_BYTES: Final = 64 * 1024**2
_LOG_KEPT: Final = 1024**2


def folder_findings(home: Path, *, fix: bool) -> list[Finding]:
    """What is found of the folders and files of ``home``; with ``fix`` what is safe is mended."""
    found = _folder(home, fix=fix)
    if found and not os.access(home, os.X_OK):
        return found  # nothing in it can be looked at
    found += [finding for name in _FOLDERS for finding in _folder(home / name, fix=fix)]
    for name in ("lock", "start.lock", "rund.number", "rund.db", "rund.db-wal", "rund.db-shm"):
        found += _file(home / name, fix=fix)
    return [*found, *_log(home / "rund.log", fix=fix)] or [ok("folders", f"those of {home} are as they should be")]


def opened(home: Path) -> list[Finding]:
    """Open to their owner what must be open before ``home`` can be locked; what else is wrong there is told later."""
    found = [*_folder(home, fix=True), *_file(home / "lock", fix=True)]
    return [finding for finding in found if finding.level is Level.FIXED]


def _folder(path: Path, *, fix: bool) -> list[Finding]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        if not fix:
            return [wrong("folders", f"{path} is missing", "`runctl doctor --fix` makes it, and so does a start")]
        path.mkdir(mode=0o700)
        return [fixed("folders", f"{path} was missing")]
    if not stat.S_ISDIR(status.st_mode):
        return [wrong("folders", f"{path} is no folder", f"move {path} away, or put the folder back")]
    return _closed(path, status, 0o700, fix=fix)


def _file(path: Path, *, fix: bool) -> list[Finding]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return []
    if not stat.S_ISREG(status.st_mode):
        return [wrong("folders", f"{path} is no regular file", f"move {path} away")]
    return _closed(path, status, 0o600, fix=fix)


def _closed(path: Path, status: os.stat_result, mode: int, *, fix: bool) -> list[Finding]:
    if status.st_uid != os.geteuid():
        return [
            wrong("folders", f"{path} belongs to another user (uid {status.st_uid})", f"chown it to {os.geteuid()}")
        ]
    if status.st_mode & mode != mode:
        state = "closed to its owner"
    elif stat.S_IMODE(status.st_mode) & 0o077:
        state = "not its owner's alone"
    else:
        return []
    if not fix:
        return [wrong("folders", f"{path} is {state}", f"`chmod {mode:o} {path}`, or doctor --fix")]
    path.chmod(mode)
    return [fixed("folders", f"{path} was {state}")]


def _log(path: Path, *, fix: bool) -> list[Finding]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return []
    if not stat.S_ISREG(status.st_mode):
        return []
    if status.st_mode & 0o600 != 0o600:
        return _closed(path, status, 0o600, fix=fix)
    if status.st_size <= _LOG_BYTES:
        return []
    if not fix:
        return [wrong("folders", f"{path} has grown to {status.st_size:,} bytes", "doctor --fix keeps its end")]
    with path.open("r+b") as file:
        file.seek(-_LOG_KEPT, os.SEEK_END)
        end = file.read()
        file.seek(0)
        file.write(end)
        file.truncate()
    return [fixed("folders", f"{path} had grown to {status.st_size:,} bytes: its end was kept")]
