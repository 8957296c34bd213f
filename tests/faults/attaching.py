"""Traces processes that run already: what they did before counts for nothing, and fails nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.process.conftest import wait_until


def attach(tracer: Sequence[str | Path], pids: Sequence[int]) -> subprocess.Popen[bytes]:
    """Have ``tracer``, a command of strace's, trace all threads of ``pids``, and what they start from now on.

    It ends when all of those have ended.  Skips the test where the system lets nobody trace what runs already.
    """
    process = subprocess.Popen([*tracer, *(word for pid in pids for word in ("-p", str(pid)))])
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    wait_until(lambda: process.poll() is not None or all(_is_traced(thread) for thread in threads))
    if process.poll() is not None:
        assert os.environ.get("CI") != "true", "let processes be traced (ptrace_scope): this must not be skipped here"
        pytest.skip("no process may be traced that runs already")
    return process


def _is_traced(thread: Path) -> bool:
    """Whether somebody traces a thread; one that has just ended needs nobody."""
    try:
        return "TracerPid:\t0\n" not in (thread / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
