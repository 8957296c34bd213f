"""Which files git leaves out, by the ``.gitignore`` files of a folder and of its parents in the repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from rund.operations.regular_file import path_exists, read_start

_NAME: Final = ".gitignore"
_LIMIT: Final = 1_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignores:
    """The rules that hold in one folder: its own before those of its parents, as in git."""

    folder: str  # its name
    spec: GitIgnoreSpec | None
    parent: Ignores | None

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Whether git leaves out the file or folder ``name`` of this folder."""
        path = f"{name}/" if is_folder else name
        rules: Ignores | None = self
        while rules is not None:
            if rules.spec is not None and (included := rules.spec.check_file(path).include) is not None:
                return included
            path = f"{rules.folder}/{path}"
            rules = rules.parent
        return False


def read_ignores(folder: Path, parent: Ignores | None) -> Ignores:
    """The rules of ``folder``, whose parent has the rules ``parent``."""
    return Ignores(folder=folder.name, spec=_read_spec(folder / _NAME), parent=parent)


def ignores_above(root: Path) -> Ignores | None:
    """The rules of the parents of ``root``, up to the top of the repository that holds it; None if there is none."""
    chain: list[Path] = []
    folder = root
    while not path_exists(folder / ".git"):
        if folder == folder.parent:
            return None
        folder = folder.parent
        chain.append(folder)
    rules: Ignores | None = None
    for folder in reversed(chain):
        rules = read_ignores(folder, rules)
    return rules


def _read_spec(path: Path) -> GitIgnoreSpec | None:
    try:
        data = read_start(path, _LIMIT)
    except OSError:
        return None
    lines = (data or b"").decode("utf-8", "surrogateescape").splitlines()
    if not lines:
        return None
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    """Whether the line can be read as a pattern; git passes over those that cannot."""
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
