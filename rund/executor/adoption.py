"""Looks for the live shim or the live processes of an attempt that somebody else started."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rund.engine.recover import Alive, Finding, recover
from rund.executor.facts import lock_names, read_end, read_facts
from rund.executor.framing import OUTPUT, SHIM_LOCK, TRIAL_LOCK
from rund.executor.locks import is_held
from rund.executor.output_bound import drop_head, dropped_until
from rund.executor.processes import (
    all_processes,
    has_named,
    has_open,
    newest_process,
    open_shim,
    signal_checked,
    signal_unexecuted,
    start_time,
)
from rund.model.facts import StartRecord

_CHASE: Final = 0.5  # seconds
_CHASED: Final = 8  # process numbers that are looked at, from the newest down


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one look at an attempt's directory showed."""

    finding: Finding
    pidfd: int | None = None  # of its live shim, if that could be identified
    orphaned: bool = False  # its shim is gone, and processes of it are alive
    grace: float | None = None  # seconds between SIGTERM and SIGKILL, as far as it is known

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return isinstance(self.finding, Alive)


def look(directory: Path, boot: str | None = None, *, handed_over: bool = False) -> Sighting:
    """What the attempt in ``directory`` is now; whoever asks closes the pidfd.  The rest is as `read_facts` has it."""
    ended = read_end(directory)
    if ended is not None:
        return Sighting(finding=recover(ended))
    facts = read_facts(directory, boot=boot, handed_over=handed_over)
    finding = recover(facts)
    return Sighting(
        finding=finding,
        pidfd=_open_shim(facts.started, directory) if facts.shim_alive and facts.started is not None else None,
        orphaned=isinstance(finding, Alive) and not facts.shim_alive,
        grace=facts.started.grace if facts.started is not None else None,
    )


def _open_shim(started: StartRecord, directory: Path) -> int | None:
    try:
        pidfd = os.pidfd_open(started.shim_pid)
    except OSError:
        return None
    # From here the number cannot be given to another process unseen.  Start times are equal too often to be proof;
    # that it has this very lock open is.
    with contextlib.suppress(OSError):
        if start_time(started.shim_pid) == started.shim_start_time and has_open(
            started.shim_pid, str(directory / SHIM_LOCK)
        ):
            return pidfd
    os.close(pidfd)
    return None


def find_shim(directory: Path) -> int | None:
    """A pidfd of the live shim of an attempt whose ``started`` does not tell it; None if there is none."""
    return open_shim(str(directory / SHIM_LOCK))


def signal_orphans(directory: Path, *numbers: signal.Signals) -> None:
    """Signal the processes that hold the trial's lock of an attempt whose shim is gone.

    Where the locks were removed, its shim may be alive, and is signalled too.
    """
    _signal_each(all_processes(), _holds(directory, lock_names(directory)), *numbers)


def kill_orphans(directory: Path) -> None:
    """Send SIGKILL to them, and to those that they have just forked: a pass over all processes never meets those.

    Some may be left all the same: whoever wants them all gone asks again.
    """
    # A shim is spared: it kills what is left below it, also what holds no lock, and ends then.
    holds = _holds(directory, lock_names(directory)[1:])
    _signal_each(all_processes(), holds, signal.SIGKILL)
    newest, before = newest_process(), 0
    over = time.monotonic() + _CHASE
    lock = directory / TRIAL_LOCK
    while newest != before and time.monotonic() < over and _may_be_held(lock):
        _signal_each(range(newest, max(newest - _CHASED, 1), -1), holds, signal.SIGKILL)
        newest, before = newest_process(), newest


def _holds(directory: Path, names: Sequence[str]) -> Callable[[int], bool]:
    """Whether a process has the trial's lock open; if that was removed, one of these ``names``."""
    lock = directory / TRIAL_LOCK
    if _is_there(lock):
        return lambda pid: has_open(pid, str(lock))
    return lambda pid: has_named(pid, names)


def _may_be_held(lock: Path) -> bool:
    try:
        return is_held(lock) or not _is_there(lock)
    except OSError:  # nobody can tell
        return True


def _is_there(lock: Path) -> bool:
    return os.path.exists(lock)  # noqa: PTH110 - pathlib's raises where a folder is closed


def _signal_each(pids: Iterable[int], holds: Callable[[int], bool], *numbers: signal.Signals) -> None:
    for pid in pids:
        if holds(pid):
            with contextlib.suppress(OSError):
                signal_checked(pid, holds, *numbers)


def bound_output(directory: Path, limit: int) -> None:
    """Keep the output of an attempt whose shim is gone within ``limit`` bytes, as the shim would; 0: no limit."""
    if not limit:
        return
    with contextlib.suppress(OSError):  # nothing is written where nothing stands, and a full disk may hinder it
        output = os.open(directory / OUTPUT, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(output)
            if stat.S_ISREG(found.st_mode) and found.st_size > limit:
                before = os.lseek(output, 0, os.SEEK_DATA)
                end = dropped_until(found.st_size, before, limit)
                if end > before:
                    drop_head(output, end)
        finally:
            os.close(output)


def end_hanging_execution(pidfd: int) -> None:
    """Kill what a shim waits for that has not executed its program yet: the shim hears of no stop before that.

    ``pidfd`` is of the shim.  Raises `OSError` if that cannot be done now.
    """
    words = Path(f"/proc/self/fdinfo/{pidfd}").read_text().split()
    shim = int(words[words.index("Pid:") + 1])
    if shim > 0:  # it has not ended
        signal_unexecuted(shim, signal.SIGKILL)
