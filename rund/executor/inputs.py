"""Links a run's inputs into its directory, in which earlier attempts may have put whatever they liked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePath
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def link_input(directory: Path, name: str, target: str) -> None:
    """Link ``target`` at ``name``, a relative path without ``..``, in ``directory``, unless something is there.

    Folders on the way are made.  None is made, and no link, where a link of the run leads.  Raises `OSError`.
    """
    if os.path.lexists(directory / name):
        return
    *above, last = PurePath(name).parts
    with contextlib.ExitStack() as opened:
        folder = os.open(directory, _FOLDER)
        opened.callback(os.close, folder)
        for part in above:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            folder = os.open(part, _FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        with contextlib.suppress(FileExistsError):  # a process that an earlier attempt has left
            os.symlink(target, last, dir_fd=folder)
