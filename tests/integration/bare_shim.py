"""A shim in a process of its own, without a fork server and a daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rund.executor.backend import Submission
from rund.executor.framing import SHIM_LOCK
from rund.executor.locks import boot_id, hold_new
from rund.executor.shim_request import ShimRequest, encode_request

ROOT = str(Path(__file__).parents[2])

_CODE = """
import os, signal, sys
sys.path.append(sys.argv[1])
from rund.executor.shim import run_shim
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
with open(sys.argv[3], "rb") as file:
    request = file.read()
{before}
run_shim(request, int(sys.argv[2]))
"""


def start_shim(attempt: Submission, *, launcher: Sequence[str] = (), before: str = "") -> subprocess.Popen[bytes]:
    """``before`` is run in the shim's process just before it becomes the shim."""
    request = attempt.directory.with_suffix(".request")
    request.write_bytes(
        encode_request(
            ShimRequest(
                token=attempt.token,
                directory=str(attempt.directory),
                cwd=str(attempt.cwd),
                argv=attempt.argv,
                environment=attempt.environment,
                grace=attempt.grace,
                output_limit=attempt.output_limit,
                started=attempt.started,
                began=attempt.began,
            )
        )
    )
    lock = hold_new(attempt.directory / SHIM_LOCK, f"{boot_id()}\n".encode())
    python = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _CODE.format(before=before)]
    try:
        return subprocess.Popen(
            [*launcher, *python, ROOT, str(lock), str(request)],
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(lock)


def run_shim(attempt: Submission, *, launcher: Sequence[str] = (), before: str = "") -> int:
    """The exit status of the shim (negative: its signal)."""
    with start_shim(attempt, launcher=launcher, before=before) as process:
        return process.wait(60)
