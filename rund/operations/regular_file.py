"""Reads regular files, and never opens anything else: a FIFO would block, a device may act."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rund.errors import InvalidError


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes.  Raises `InvalidError` with the path if it cannot be read."""
    try:
        data = read_start(path, limit + 1)
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror or error}", field="operation") from None
    if data is None:
        raise InvalidError(f"{path} is not a regular file", field="operation")
    if len(data) > limit:
        raise InvalidError(f"{path} is larger than {limit // 1_000_000} MB", field="operation")
    return data


def read_start(path: Path, limit: int) -> bytes | None:
    """The first ``limit`` bytes of a file; None if it is not a regular one.  Raises `OSError`."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    # It may have been replaced since by something that blocks.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(limit)


def path_exists(path: Path) -> bool:
    """Whether something is there; what may not be looked at is not."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True
