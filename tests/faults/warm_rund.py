"""Starts daemons from a warm interpreter, watched or not: a process of its own, for it must have one thread.

``python -m tests.faults.warm_rund`` reads one order a line and answers each with one line: JSON, see `Order`.  What it
forks is the command ``rund`` from its first line on; only the interpreter's start and the imports are not repeated.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn, TypedDict

# All that a daemon imports, also late.
import anyio._backends._asyncio  # noqa: F401

import rund.daemon  # noqa: F401
from rund.cli import main
from tests.faults.changing_calls import watch

_PR_SET_PDEATHSIG = 1


class Order(TypedDict):
    """A daemon to start.  The answer is ``{"pid": its process, "watcher": the process that ends after it}``."""

    environment: dict[str, str]
    log: str  # file that its standard error is added to
    report: str | None  # file for what was watched, as JSON; None: it is not watched
    kill_at: int | None
    since: str | None


def serve() -> None:
    """Carry out orders until standard input ends."""
    for line in sys.stdin:
        # Not before: by now whoever gave the last order has opened what it started, however soon that ended.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        order: Order = json.loads(line)
        child = os.fork()
        if child == 0:
            _obey(order)
        if order["report"] is None:
            _answer(child, child)


def _answer(pid: int, watcher: int) -> None:
    os.write(1, json.dumps({"pid": pid, "watcher": watcher}).encode() + b"\n")


def _obey(order: Order) -> NoReturn:
    status = 70
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if order["report"] is None:
            _be_rund(order)
        watched = watch(
            lambda: _be_rund(order),
            kill_at=order["kill_at"],
            since=order["since"],
            forked=lambda pid: _answer(pid, os.getpid()),
        )
        Path(order["report"]).write_text(json.dumps(watched._asdict()), "utf-8")
        status = 0
    finally:
        os._exit(status)


def _be_rund(order: Order) -> NoReturn:
    status = 70
    try:
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, file in enumerate((null, null, log)):
            os.dup2(file, number)
        os.close(null)
        os.close(log)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["rund"]
        status = main()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
