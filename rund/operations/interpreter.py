"""The Python that scripts are run by: that of the client's environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from rund.errors import InvalidError


def find_program(name: str, env: Mapping[str, str]) -> str | None:
    """The absolute path of a program on the PATH of ``env``; None if there is none."""
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    return found if found is not None and found.startswith("/") else None


def find_python(env: Mapping[str, str]) -> str:
    """The absolute path of ``python3``, else ``python``, on the PATH of ``env``.

    A link is not followed: a virtual environment is known by its own path.  Raises `InvalidError` if there is none.
    """
    for name in ("python3", "python"):
        if (found := find_program(name, env)) is not None:
            return found
    raise InvalidError("there is no python3 on the PATH: activate an environment that has Python", field="env")
