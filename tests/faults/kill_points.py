"""The system calls of a traced process at which it can be killed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

_CALL = re.compile(r"(\w+)\(")

# What changes something: for others, to be killed at them is to be killed at the next of these.
_CHANGES = frozenset(
    {
        "clone",
        "clone3",
        "dup2",
        "dup3",
        "exit_group",
        "fallocate",
        "flock",
        "fork",
        "fsync",
        "kill",
        "pidfd_open",
        "pidfd_send_signal",
        "pipe2",
        "prctl",
        "pwrite64",
        "recvmsg",
        "rename",
        "renameat",
        "renameat2",
        "rt_sigtimedwait",
        "sendmsg",
        "sendto",
        "setsid",
        "wait4",
        "write",
    }
)


class KillPoint(NamedTuple):
    """The ``number``-th (from 1) call of ``name``."""

    name: str
    number: int

    def launcher(self, *, inject: str = "signal=SIGKILL", follow: bool = False) -> list[str]:
        """What to put before a command for it to be killed there.

        ``follow``: each of its threads, and each process that it starts, has a count of its own; else only its first
        thread is traced.
        """
        return [
            *("strace", "-qq", "-o", os.devnull, "-e", f"trace={self.name}"),
            *(("-f",) if follow else ()),
            *("-e", f"inject={self.name}:{inject}:when={self.number}"),
        ]


def tracer(trace: Path) -> list[str]:
    """What to put before a command for its calls to be written to ``trace``."""
    return ["strace", "-qq", "-o", str(trace)]


def kill_points(trace: Path, *, after: str) -> list[KillPoint]:
    """Those in ``trace``, from the first line that holds ``after``."""
    counts: dict[str, int] = {}
    points: list[KillPoint] = []
    begun = False
    for line in trace.read_text(errors="replace").splitlines():
        begun = begun or after in line
        call = _CALL.match(line)
        if call is None:
            continue
        name = call[1]
        counts[name] = counts.get(name, 0) + 1
        if begun and (name in _CHANGES or (name == "openat" and "O_CREAT" in line)):
            points.append(KillPoint(name, counts[name]))
    return points


def require_strace() -> None:
    """Skip the test where strace is missing; on a continuous integration machine it must be there."""
    if shutil.which("strace") is None:
        assert os.environ.get("CI") != "true", "install strace: the kill sweeps must not be skipped here"
        pytest.skip("strace is missing")
