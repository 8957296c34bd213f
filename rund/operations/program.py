"""Programs, as the client's environment has them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping


def find_program(name: str, env: Mapping[str, str]) -> str | None:
    """The absolute path of a program on the PATH of ``env``; None if there is none."""
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    return found if found is not None and found.startswith("/") else None
