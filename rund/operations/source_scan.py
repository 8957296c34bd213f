"""Which files are an operation's source.

Rules:

- Of a project all regular files under `FILE_LIMIT`, but for hidden ones, those that ``.gitignore`` leaves out,
  ``__pycache__``, ``node_modules`` and virtual environments; elsewhere the script and the Python modules and packages
  beside it.  The script itself always.
- A link to a file is taken as that file's content; a link to a folder inside the root stays a link; one that leads
  outside is left out.  What is neither file, folder nor link is never opened.
- Over `MAX_FILES` files or `MAX_BYTES` it is refused as soon as that is seen.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rund.errors import InvalidError
from rund.operations.gitignore import Ignores, ignores_above, read_ignores
from rund.operations.regular_file import path_exists

FILE_LIMIT: Final = 1_000_000  # bytes; a file must be smaller
MAX_FILES: Final = 10_000
MAX_BYTES: Final = 100_000_000
MAX_SEEN: Final = 1_000_000  # files and folders looked at, taken or not
MAX_DEPTH: Final = 100
_LEFT_OUT: Final = frozenset({"__pycache__", "node_modules"})
_MODULES: Final = (".py", ".so")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file, or a link to a folder."""

    path: str  # relative to the root, with "/"
    link: str | None = None  # what the link holds, relative to its own folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of a source, sorted by path."""

    root: Path
    script: str | None  # taken whatever its size
    files: tuple[SourceFile, ...]


@dataclass(slots=True)
class _Tally:
    """What has been taken so far, by the name that it has in the root."""

    root: Path
    taken: dict[str, SourceFile] = field(default_factory=dict)
    seen: int = 0
    size: int = 0
    files: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def look(self) -> None:
        self.seen += 1
        if self.seen > MAX_SEEN:
            raise self._refusal(f"more than {MAX_SEEN:,} files and folders", self.files, "files")

    def take(self, path: str, size: int, link: str | None = None) -> None:
        if path in self.taken:
            return
        self.taken[path] = SourceFile(path=path, link=link)
        top = path.partition("/")[0] + ("/" if "/" in path else "")
        self.files[top] += 1
        self.sizes[top] += size
        self.size += size
        if len(self.taken) > MAX_FILES:
            raise self._refusal(f"more than {MAX_FILES:,} files", self.files, "files")
        if self.size > MAX_BYTES:
            raise self._refusal(f"more than {MAX_BYTES // 1_000_000} MB", self.sizes, "bytes")

    def _refusal(self, what: str, counts: Counter[str], unit: str) -> InvalidError:
        largest = ", ".join(f"{name} ({count:,} {unit})" for name, count in counts.most_common(3))
        return InvalidError(
            f"the source in {self.root} has {what}, most of them in {largest}: leave out what is not source "
            "by .gitignore, or put a rund.toml nearer to the script",
            field="operation",
        )


def scan_source(root: Path, script: str | None, *, marked: bool) -> Manifest:
    """The files of the source in ``root`` (absolute), of which ``script`` is run; ``marked``: root is a project.

    Raises `InvalidError` for a source that is too large or cannot be read, naming what is.
    """
    tally = _Tally(root)
    if script is not None:
        tally.take(script, _size(root / script))
    rules = ignores_above(root) if marked else None
    pending: list[tuple[str, Ignores | None, bool]] = [("", rules, marked)]
    while pending:
        folder, above, whole = pending.pop()
        if folder.count("/") > MAX_DEPTH:
            raise InvalidError(f"{root / folder}: folders are nested more than {MAX_DEPTH} deep", field="operation")
        ignores = read_ignores(root / folder, above)
        for entry in _entries(root / folder):
            tally.look()
            _visit(tally, pending, entry, folder, ignores, whole=whole)
    return Manifest(root=root, script=script, files=tuple(tally.taken[path] for path in sorted(tally.taken)))


def _visit(
    tally: _Tally,
    pending: list[tuple[str, Ignores | None, bool]],
    entry: os.DirEntry[str],
    folder: str,
    ignores: Ignores,
    *,
    whole: bool,
) -> None:
    if entry.name.startswith(".") or entry.name in _LEFT_OUT:
        return
    path = f"{folder}/{entry.name}" if folder else entry.name
    try:
        is_link, mode, size = entry.is_symlink(), entry.stat().st_mode, entry.stat().st_size
    except OSError:  # a link that leads nowhere, or gone since
        return
    is_folder = stat.S_ISDIR(mode)
    if not (whole or _is_module(entry, is_folder=is_folder)) or ignores.ignores(
        entry.name, is_folder=is_folder and not is_link
    ):
        return
    if is_folder and is_link:
        if (link := _inner_link(tally.root, entry)) is not None:
            tally.take(path, 0, link)
    elif is_folder:
        if not path_exists(tally.root / path / "pyvenv.cfg"):
            pending.append((path, ignores, True))
    elif stat.S_ISREG(mode) and size < FILE_LIMIT:
        tally.take(path, size)


def _is_module(entry: os.DirEntry[str], *, is_folder: bool) -> bool:
    """Whether it is a Python module or package, which a script beside it may import."""
    if is_folder:
        return path_exists(Path(entry.path, "__init__.py"))
    return entry.name.endswith(_MODULES)


def _inner_link(root: Path, entry: os.DirEntry[str]) -> str | None:
    """What a link to a folder inside ``root`` holds in the copy; None if it leads outside."""
    target, top = os.path.realpath(entry.path), os.path.realpath(root)
    if not target.startswith(top + os.sep):
        return None
    return os.path.relpath(target, os.path.realpath(os.path.dirname(entry.path)))  # noqa: PTH120 - as a text


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return  # gone since
    except OSError as error:
        raise InvalidError(
            f"{folder} cannot be read: {error.strerror}: make it readable, or leave it out by .gitignore",
            field="operation",
        ) from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", field="operation") from None
