"""Copies of the package that are broken on purpose, to see that a sweep finds it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.faults.kill_world import ROOT


class Break(NamedTuple):
    """One text in one file of the package, and what stands there instead."""

    file: str
    sound: str
    broken: str


def broken_package(folder: Path, *breaks: Break) -> Path:
    """A folder with the package ``rund``, broken so; fails if a text does not stand there exactly once."""
    shutil.copytree(ROOT / "rund", folder / "rund", ignore=shutil.ignore_patterns("__pycache__"))
    for file, sound, broken in breaks:
        path = folder / "rund" / file
        text = path.read_text()
        assert text.count(sound) == 1, f"{sound!r} stands {text.count(sound)} times in {file}: break it as it is now"
        path.write_text(text.replace(sound, broken))
    return folder
