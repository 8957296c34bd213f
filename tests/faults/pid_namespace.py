"""Commands in a process number namespace of their own, where numbers can be given again at will."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

_LAST: Final = Path("/proc/sys/kernel/ns_last_pid")
# Its first process must reap what is left to it, or numbers would never be free again: a shell that waits does.
_LAUNCHER: Final = ("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@" & wait $!', "sh")
_TRIES: Final = 200


def in_namespace(*command: str | Path) -> list[str]:
    """What to execute for ``command`` to be executed there; skips the test where that may not be."""
    probe = shutil.which("unshare") and subprocess.run([*_LAUNCHER, "test", "-w", _LAST], check=False).returncode == 0
    if not probe:
        assert os.environ.get("CI") != "true", "the tests of reused process numbers must not be skipped here"
        pytest.skip("no namespace for process numbers may be made")
    return [*_LAUNCHER, *map(str, command)]


def start_as(number: int, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """``command`` as process ``number``, which is free; for a process in such a namespace."""
    for _ in range(_TRIES):
        _LAST.write_text(str(number - 1))
        process = subprocess.Popen(command)
        if process.pid == number:
            return process
        process.kill()
        process.wait()
    raise AssertionError(f"number {number} was not given again")


def wait_until_free(number: int, seconds: float = 60.0) -> None:
    """Wait until process ``number`` is gone, and reaped."""
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < deadline, f"process {number} is still there"
        os.sched_yield()
