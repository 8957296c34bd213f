"""Traces processes that run already: what they did before counts for nothing, and fails nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.process.conftest import wait_until


def attach(tracer: Sequence[str | Path], pids: Sequence[int]) -> subprocess.Popen[bytes]:
    """Have ``tracer``, a command of strace's, trace all threads of ``pids``, and what they start from now on.

    It ends when all of those have ended.
    """
    process = subprocess.Popen([*tracer, *(word for pid in pids for word in ("-p", str(pid)))])
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    wait_until(lambda: all(_is_traced(thread) for thread in threads))
    return process


def _is_traced(thread: Path) -> bool:
    """Whether somebody traces a thread; one that has just ended needs nobody."""
    try:
        return "TracerPid:\t0\n" not in (thread / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
