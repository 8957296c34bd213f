"""Removes folders that runs have filled with whatever they liked, while somebody may still change them.

Rules:

- Nothing is followed.  A folder is opened by its name in a folder that is open already, never through a symbolic link;
  whatever is no folder is unlinked, not opened.
- Depth costs nothing: a folder within another is first moved up, into the place that is emptied, under a new name.  So
  nothing recurses, two descriptors are enough, and no ``..`` is trusted that a process could lead elsewhere.
- What cannot be removed is left and told, and hinders nothing else.  Begun again, it goes on where it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rund.private_folder import PRIVATE

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROUNDS: Final = 2  # on a full disk the first makes the room that moving folders needs
_PASSES: Final = 100  # over one folder, into which somebody writes all the time


def take(home: int, path: str, place: str, name: str) -> None:
    """Move what is at ``path`` into the folder ``place``, under ``name``; both are relative to the open ``home``.

    A folder that a run has closed to its owner is opened again first.  What is not there is not moved.
    Raises `OSError`.
    """
    above, _, last = path.rpartition("/")
    if ".." in path.split("/"):
        raise OSError(errno.EINVAL, f"{path!r} is no path of a store")
    with _opened(home, place) as to, contextlib.suppress(FileNotFoundError), _opened(home, above) as folder:
        _move(folder, last, to, name)


@contextlib.contextmanager
def _opened(home: int, path: str) -> Iterator[int]:
    """The folder at ``path`` below ``home``, open, come to through no symbolic link.  Raises `OSError`."""
    with contextlib.ExitStack() as opened:
        folder = home
        for name in filter(None, path.split("/")):
            folder = os.open(name, _FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        yield folder


def _goes_on() -> bool:
    return False


def remove_all(place: Path, is_given_up: Callable[[], bool] = _goes_on) -> list[str]:
    """Remove all that lies in ``place``; answers what is left, each as ``PATH: why``.

    As soon as ``is_given_up``, from whatever thread, it stops where it is: what is left then is not told.
    """
    try:
        folder = os.open(place, _FOLDER)
    except OSError as error:
        return [_told(place, error)]
    left: dict[str, str] = {}
    try:
        for _ in range(_ROUNDS):
            left.clear()
            while _remove_some(folder, place, left, is_given_up):
                pass
            if not left:
                break
    except _GivenUp:
        left.clear()
    except OSError as error:
        left[""] = _told(place, error)
    finally:
        os.close(folder)
    return sorted(left.values())


class _GivenUp(Exception):  # noqa: N818 - no error
    """Nobody waits for the rest any more."""


def _remove_some(place: int, where: Path, left: dict[str, str], is_given_up: Callable[[], bool]) -> bool:
    """One pass over ``place``, whose entries become more as folders are moved into it; whether it removed any."""
    some = False
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name not in left:
                try:
                    _remove(place, entry, is_given_up)
                    some = True
                except OSError as error:
                    left[entry.name] = _told(where / entry.name, error)
    return some


def _remove(place: int, entry: os.DirEntry[str], is_given_up: Callable[[], bool]) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else has removed it
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=place)
            return
        for _ in range(_PASSES):
            _empty(place, entry.name, is_given_up)
            try:
                os.rmdir(entry.name, dir_fd=place)
            except OSError as error:
                full = error
            else:
                return
        raise full


def _empty(place: int, name: str, is_given_up: Callable[[], bool]) -> None:
    """Remove what lies in a folder of ``place``, but move its folders into ``place``."""
    folder = _open_own(place, name)
    fault: OSError | None = None
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_given_up():
                    raise _GivenUp
                try:
                    _empty_one(folder, entry, place)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    error.filename = entry.name
                    fault = error
    finally:
        os.close(folder)
    if fault is not None:
        raise fault


def _empty_one(folder: int, entry: os.DirEntry[str], place: int) -> None:
    if entry.is_dir(follow_symlinks=False):
        _move(folder, entry.name, place, secrets.token_hex(16))
    else:
        os.unlink(entry.name, dir_fd=folder)


def _move(folder: int, name: str, place: int, new: str) -> None:
    try:
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=place)
    except PermissionError:  # to move a folder one must be allowed to write into it
        _make_own(folder, name)
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=place)


def _open_own(place: int, name: str) -> int:
    """A folder, open, and with all its owner's rights, which a run may have taken away."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=place)
    except PermissionError:
        _make_own(place, name)
        folder = os.open(name, _FOLDER, dir_fd=place)
    if os.fstat(folder).st_mode & PRIVATE != PRIVATE:
        with contextlib.suppress(OSError):  # another user's: it is told when something in it cannot be removed
            os.fchmod(folder, PRIVATE)
    return folder


def _make_own(folder: int, name: str) -> None:
    """Give the owner of a folder all rights again, and of nothing else that may have come in its place."""
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod(f"/proc/self/fd/{found}", PRIVATE)  # noqa: PTH101 - what is open, by whatever name
    finally:
        os.close(found)


def _told(path: Path, error: OSError) -> str:
    within = "" if error.filename is None or error.filename == path.name else f" ({error.filename})"
    return f"{path}: {str(error.strerror or error).lower()}{within}"
