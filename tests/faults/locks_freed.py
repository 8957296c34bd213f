"""Locks that are free in a moment: what was being started when they were taken has them until it executes its program."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import Final

PATIENCE: Final = 120.0  # seconds


def wait_until_free(lock: Path) -> None:
    """Wait until nobody holds ``lock``, if it is there; fails after `PATIENCE`."""

    def take() -> None:
        if lock.exists():
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(PATIENCE)
    assert not taker.is_alive(), f"{lock} is still held"
