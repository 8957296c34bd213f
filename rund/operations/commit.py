"""The version control commit that a folder is at, read from git's own files."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_LINKS: Final = 5  # git follows as many symbolic references
_MAX_BYTES: Final = 16_000_000  # of packed-refs, which may be large


def read_commit(folder: Path) -> str | None:
    """The commit checked out in the repository that holds ``folder``; None if there is none or it cannot be told."""
    for parent in (folder, *folder.parents):
        try:
            kind = (parent / ".git").stat().st_mode
        except OSError:
            continue
        git = parent / ".git" if stat.S_ISDIR(kind) else _linked(parent)
        return None if git is None else _resolve(git)
    return None


def _linked(worktree: Path) -> Path | None:
    """The git folder of a worktree or submodule, whose ``.git`` is a file that names it."""
    target = _read(worktree / ".git")
    if target is None or not target.startswith("gitdir:"):
        return None
    return worktree / target.removeprefix("gitdir:").strip()


def _resolve(git: Path) -> str | None:
    shared = _read(git / "commondir")
    folders = (git,) if shared is None else (git, git / shared.strip())
    name = "HEAD"
    for _ in range(_MAX_LINKS):
        text = next(filter(None, (_read(folder / name) for folder in folders)), None)
        if text is None:
            return _packed(folders[-1], name)
        if not text.startswith("ref:"):
            return text.strip() if _COMMIT.fullmatch(text.strip()) else None
        name = text.removeprefix("ref:").strip()
        if not name.startswith("refs/") or ".." in name.split("/"):
            return None
    return None


def _packed(git: Path, name: str) -> str | None:
    for line in (_read(git / "packed-refs") or "").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name and _COMMIT.fullmatch(commit):
            return commit
    return None


def _read(path: Path) -> str | None:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            return None
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):
        return None
