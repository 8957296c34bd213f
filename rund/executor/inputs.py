"""Links a run's inputs into its directory, in which earlier attempts may have put whatever they liked."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path, PurePath
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def link_input(directory: Path, name: str, target: str) -> None:
    """Link ``target`` at ``name``, a relative path without ``..``, in ``directory``, unless something is there.

    Folders on the way are made.  None is made, and no link, where a link of the run leads.  Raises `OSError`.
    """
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:  # of a damaged row
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    if os.path.lexists(directory / name):
        return
    *above, last = path.parts
    folder = os.open(directory, _FOLDER)
    try:
        for part in above:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            deeper = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
        with contextlib.suppress(FileExistsError):  # a process that an earlier attempt has left
            os.symlink(target, last, dir_fd=folder)
    finally:
        os.close(folder)
