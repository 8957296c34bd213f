"""Makes folders that only their owner can look into."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PRIVATE: Final = 0o700


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` and those above it that are missing, each for its owner alone; what is there is left as it is.

    Raises `OSError`.  (`Path.mkdir` would make those above as the umask has it.)
    """
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_private_folder(folder.parent)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
