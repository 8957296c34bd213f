"""The only wall clock."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds since 1970."""
    return time.time()  # noqa: TID251 - this is the one place
