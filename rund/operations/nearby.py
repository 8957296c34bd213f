"""Suggests what a user may have meant by the name of a file that is not there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Final

_MAX_NAMES: Final = 1000  # of a folder that are looked at


def nearby_name(path: Path, others: Collection[str] = ()) -> str | None:
    """The name in ``path``'s folder, or among ``others``, that is most like that of ``path``; None if none is."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, _MAX_NAMES)]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, [*others, *names], n=1, cutoff=0.7)
    return near[0] if near else None
