"""Whether the disk takes what is written, and has room."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from rund.doctor.finding import Finding, note, ok, wrong
from rund.doctor.homes import writable

_LITTLE: Final = 64 * 1024**2  # bytes
_SOON: Final = 1024**3  # bytes
_FEW_FILES: Final = 1000


def disk_findings(home: Path) -> list[Finding]:
    """What is found of the disk of ``home``."""
    error = writable(home)
    room = os.statvfs(home)
    free = room.f_bavail * room.f_frsize
    found = []
    if error is not None and (error.errno not in (errno.ENOSPC, errno.EDQUOT) or free >= _LITTLE):
        words = (error.strerror or str(error)).lower()
        found.append(wrong("disk", f"nothing can be written in {home}: {words}", "see `dmesg`, and mount it writable"))
    if free < _LITTLE:
        found.append(wrong("disk", f"only {free:,} bytes are free", "free some space, or `runctl purge` the trash"))
    elif free < _SOON:
        found.append(note("disk", f"{free:,} bytes are free", "free some space before long"))
    if room.f_files and room.f_favail < _FEW_FILES:
        found.append(wrong("disk", f"only {room.f_favail} more files can be made", "remove files, or purge the trash"))
    reserve = home / "reserve"
    if os.path.lexists(reserve) and not stat.S_ISREG(reserve.lstat().st_mode):
        found.append(wrong("disk", f"{reserve} is no regular file, so that rund has no reserve", f"remove {reserve}"))
    return found or [ok("disk", f"{free:,} bytes are free")]
