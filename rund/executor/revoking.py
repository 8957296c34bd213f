"""Takes an attempt back that its shim has not begun: it never runs then, however late the shim may come to it.

A shim begins an attempt by making its ``exit``, and ends if anything stands there.  So whoever puts something in that
place first has the attempt back.  It is needed for a shim that somebody has stopped, or frozen, while it had none: what
it is handed then lies in its socket, where no later daemon finds it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rund.executor.framing import EXIT, OUTPUT, SHIM_LOCK, STARTED, TRIAL_LOCK
from rund.executor.processes import open_shim

_REVOKED: Final = "taken back"  # where a symbolic link leads: that is made at once and whole, and by nobody else
_AFTER_EXIT: Final = (STARTED, TRIAL_LOCK, OUTPUT)


def revoke(directory: Path) -> bool:
    """Take an attempt back that was handed over; whether it is: else a shim has it, or its records were removed.

    Raises `OSError` if that can neither be done nor told now.
    """
    if is_revoked(directory):
        return True
    lock = directory / SHIM_LOCK
    if not lock.exists() or os.path.lexists(directory / EXIT) or _has_begun(directory):
        return False
    shim = open_shim(str(lock))
    if shim is not None:
        os.close(shim)
        return False
    try:
        (directory / EXIT).symlink_to(_REVOKED)
    except FileExistsError:  # it was begun just now
        return False
    return True


def is_revoked(directory: Path) -> bool:
    """Whether it was taken back before it was begun."""
    try:
        return str((directory / EXIT).readlink()) == _REVOKED and not _has_begun(directory)
    except OSError:
        return False


def _has_begun(directory: Path) -> bool:
    return any(os.path.lexists(directory / name) for name in _AFTER_EXIT)
