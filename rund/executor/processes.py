"""Looks at processes in ``/proc``, and signals them through a pidfd that was opened first and checked then.

A process number alone is no identity: it is given again once its process is gone.  The shim loads this: nothing slow
is imported here.
"""

# ruff: noqa: PTH110, PTH115, PTH116, PTH119 - pathlib would cost each shim memory

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator

SHIM = b"rund-shim"  # what shims are called, and what they made until it has executed its program
_PPID_FIELD = 1  # of /proc/PID/stat, counted after the command's name
_START_TIME_FIELD = 19


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _stat_field(pid: int, field: int) -> int:
    content = _read(f"/proc/{pid}/stat")
    # The command's name may hold spaces and parentheses; the last one ends it.
    return int(content[content.rindex(b")") + 2 :].split()[field])


def start_time(pid: int) -> int:
    """When it started, in clock ticks since boot; raises `OSError` if it is gone."""
    return _stat_field(pid, _START_TIME_FIELD)


def _parent(pid: int) -> int:
    return _stat_field(pid, _PPID_FIELD)


def all_processes() -> list[int]:
    """The processes that there are now, as far as one pass sees them."""
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdigit()]


def descendants(ancestor: int) -> set[int]:
    """The processes below ``ancestor``, zombies too, as far as one pass sees them.

    A pass can miss some that are made or move while it looks: whoever wants them all gone asks until there are none.
    """
    try:
        return _walk(ancestor, _children)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return _walk(ancestor, _children_by_scan())


def _walk(ancestor: int, children: Callable[[int], Iterable[int]]) -> set[int]:
    found: set[int] = set()
    todo = [ancestor]
    while todo:
        new = set(children(todo.pop())) - found
        found |= new
        todo.extend(new)
    return found


def _children(pid: int) -> Iterator[int]:
    try:
        with os.scandir(f"/proc/{pid}/task") as entries:
            tasks = [entry.name for entry in entries]
    except OSError:
        return
    for task in tasks:
        try:
            content = _read(f"/proc/{pid}/task/{task}/children")
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{task}"):
                raise
            continue
        except OSError:
            continue
        yield from map(int, content.split())


def _children_by_scan() -> Callable[[int], Iterable[int]]:
    below: dict[int, list[int]] = {}
    for pid in all_processes():
        with contextlib.suppress(OSError):
            below.setdefault(_parent(pid), []).append(pid)
    return lambda pid: below.get(pid, ())


def signal_descendants(
    ancestor: int, *numbers: int, spare_group: int | None = None, spare_sessions: Collection[int] = ()
) -> set[int]:
    """Send signals to all processes below ``ancestor``, but not to those of a spared process group or session.

    Answers the sessions of those that were sent them.
    """
    below = descendants(ancestor)
    parents = below | {ancestor}
    sessions: set[int] = set()
    for pid in below:
        with contextlib.suppress(OSError):
            session = os.getsid(pid)
            if session not in spare_sessions and (spare_group is None or os.getpgid(pid) != spare_group):
                signal_checked(pid, lambda pid: _parent(pid) in parents, *numbers)
                sessions.add(session)
    return sessions


def signal_unexecuted(shim: int, *numbers: int) -> None:
    """Send signals to what ``shim`` has made and has not executed its program yet, if there is such a process."""

    def is_meant(pid: int) -> bool:
        return _parent(pid) == shim and _read(f"/proc/{pid}/comm").strip() == SHIM

    for pid in descendants(shim):
        with contextlib.suppress(OSError):
            signal_checked(pid, is_meant, *numbers)


def kill_descendants(ancestor: int) -> set[int]:
    """Send SIGKILL to all processes below ``ancestor``; answers their numbers, also of those that are being reaped."""
    below = descendants(ancestor)
    parents = below | {ancestor}
    for pid in below:
        with contextlib.suppress(OSError):
            signal_checked(pid, lambda pid: _parent(pid) in parents, signal.SIGKILL)
    return below


def newest_process() -> int:
    """The number that was given last; that process may be gone."""
    return int(_read("/proc/loadavg").split()[-1])


def signal_checked(pid: int, is_meant: Callable[[int], bool], *numbers: int) -> None:
    """Send signals to ``pid`` if, now that its number cannot be given again unseen, it is the one meant.

    Raises `OSError` if it is gone or may not be signalled.
    """
    descriptor = os.pidfd_open(pid)
    try:
        if is_meant(pid):
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def has_open(pid: int, path: str) -> bool:
    """Whether process ``pid`` has this very file open: the same device and inode, under whatever name."""
    try:
        wanted = os.stat(path)
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_is_file(entry.path, wanted, os.path.basename(path)) for entry in entries)
    except OSError:
        return False


def some_has_named(ends: Collection[str]) -> bool:
    """Whether a process has a file open the path of which ends so, also if it was removed or moved since."""
    return any(has_named(pid, ends) for pid in all_processes())


def has_named(pid: int, ends: Collection[str]) -> bool:
    """Whether process ``pid`` has a file open the path of which ends so, also if it was removed or moved since."""
    # Nothing but names is read: what stands there now may be anything.
    wanted = (*ends, *(f"{end} (deleted)" for end in ends))
    found = False
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = found or os.readlink(entry.path).endswith(wanted)
    return found


def open_shim(path: str) -> int | None:
    """A pidfd of the shim that has the lock at ``path`` open, found among all processes; None if there is none."""

    def is_shim(pid: int) -> bool:
        return _read(f"/proc/{pid}/comm").strip() == SHIM and has_open(pid, path)

    for pid in all_processes():
        with contextlib.suppress(OSError):
            # What it makes has its name and its lock too, until it has executed its program.
            if is_shim(pid) and not is_shim(_parent(pid)):
                descriptor = os.pidfd_open(pid)
                if is_shim(pid):  # its number cannot be given again unseen from here on
                    return descriptor
                os.close(descriptor)
    return None


def _is_file(link: str, wanted: os.stat_result, name: str) -> bool:
    try:
        # Its name first: to stat what a descriptor shows can hang on a network file system.
        if os.path.basename(os.readlink(link)) != name:
            return False
        found = os.stat(link)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
