"""Files and folders of the project that are linked into a run's directory (``--input``).

Rules: a relative path without ``..`` is looked for where the client stands, then in the project, and is linked under
the same path; any other must lie in the project, and is linked at its path there.  Links are not followed to tell where
a path lies, so that data may be kept elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from rund.errors import InvalidError
from rund.operations.nearby import nearby_name
from rund.operations.regular_file import path_exists


def find_inputs(paths: Iterable[str], cwd: Path, project_dir: Path) -> tuple[tuple[str, str], ...]:
    """The links of a run's directory: (name, absolute target), each once, none inside another.

    Raises `InvalidError`, naming the path, for what is not there or lies outside of the project.
    """
    found: dict[str, str] = {}
    for path in paths:
        name, target = _find(path, cwd, project_dir)
        if found.setdefault(name, target) != target:
            raise InvalidError(f"--input {path}: {name} is linked to {found[name]} already", field="inputs")
    for name in list(found):
        outer = next((str(parent) for parent in PurePath(name).parents if str(parent) in found), None)
        if outer is None:
            continue
        if Path(found[outer]) / PurePath(name).relative_to(outer) != Path(found[name]):
            raise InvalidError(f"--input {name}: it would lie in the input {outer}: give one of them", field="inputs")
        del found[name]
    return tuple(found.items())


def _find(path: str, cwd: Path, project_dir: Path) -> tuple[str, str]:
    if not path.strip() or "\0" in path:
        raise InvalidError("--input needs the path of a file or folder", field="inputs")
    pure = PurePath(path)
    if pure.is_absolute() or ".." in pure.parts:
        target = Path(os.path.normpath(cwd / pure))
        if not target.is_relative_to(project_dir):
            raise InvalidError(
                f"--input {path}: it lies outside of the project {project_dir}: give the script its absolute path "
                "as a flag",
                field="inputs",
            )
        name = str(target.relative_to(project_dir))
        places = [target]
    else:
        name = str(pure)
        places = [cwd / pure, project_dir / pure]
    if name == ".":
        raise InvalidError(f"--input {path}: name a file or folder of the project, not the project", field="inputs")
    for place in places:
        if path_exists(place):
            return name, str(place)
    near = nearby_name(places[0])
    hint = "" if near is None else f": did you mean {near}?"
    raise InvalidError(f"--input {path}: there is no {places[0]}{hint}", field="inputs")
