"""Opens again what an attempt has closed to its own user: its folder, and the files in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rund.executor.locks import MODE
from rund.private_folder import PRIVATE

_Seen = TypeVar("_Seen")


def reopened(look: Callable[[Path], _Seen], path: Path) -> _Seen:
    """The answer of ``look`` at a file in an attempt's folder, which are opened again if they are closed.

    Raises `OSError` as ``look`` does.
    """
    try:
        return look(path)
    except PermissionError:
        _give_back(path.parent, PRIVATE)
        _give_back(path, MODE)
        return look(path)


def _give_back(path: Path, rights: int) -> None:
    """Give the owner these rights again, as far as that can be; of nothing that a symbolic link means."""
    with contextlib.suppress(OSError):
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.chmod(f"/proc/self/fd/{found}", os.fstat(found).st_mode & 0o7777 | rights)  # noqa: PTH101 - what is open
        finally:
            os.close(found)
