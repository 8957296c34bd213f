"""Times and durations as a person reads them."""

from __future__ import annotations

import time


def minute(seconds: float) -> str:
    """Local time to the minute: ``2025-03-01 14:05``; always whole, so that lines sort and last."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def second(seconds: float) -> str:
    """Local time to the second, with its zone: ``2025-03-01 14:05:09 +0100``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 7 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, part, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return f"{whole} s"


def size(count: int) -> str:
    """Bytes as ``512 B``, ``14.2 MiB``."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
