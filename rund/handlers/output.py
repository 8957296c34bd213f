"""output: bytes of what an attempt has written, as they come."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from rund.api.params import OutputParams
from rund.errors import NotFoundError
from rund.handlers.context import Call, Context, Reply
from rund.model.run import Attempt
from rund.model.status import LIVE, Status
from rund.store.reader import Reader

# A file that grows wakes nobody: while somebody follows it, it is looked at again after these seconds.
_SHORTEST_LOOK = 0.02
_LONGEST_LOOK = 0.2


async def output(context: Context, call: Call[OutputParams]) -> Reply:
    """Bytes from ``offset`` on; where there are none yet, and more may come, waits up to ``timeout``."""
    params = call.params
    reply = await _output(context, params)
    if params.timeout and not _final(reply):
        pause = _SHORTEST_LOOK
        with anyio.move_on_after(params.timeout):
            while not _final(reply):
                bell = context.broker.bell
                with anyio.move_on_after(pause):
                    await bell.wait()
                pause = min(2 * pause, _LONGEST_LOOK)
                reply = await _output(context, params)
    del reply["live"]
    return reply


def _final(reply: dict[str, Any]) -> bool:
    return bool(reply["data"]) or not reply["live"]


async def _output(context: Context, params: OutputParams) -> Reply:
    def query(reader: Reader) -> tuple[Attempt | None, bool]:
        run = reader.resolve(params.run)
        number = params.attempt or run.attempts
        attempt = reader.attempt(run.id, number) if number else None
        if attempt is None and params.attempt is not None:
            raise NotFoundError(f"run {run.id[:8]} has no attempt {params.attempt}: it has {run.attempts}")
        # A pending restart has not begun its attempt: the one before is over, and not what is waited for.
        return attempt, run.status in LIVE

    attempt, live = await context.store.read(query)
    if attempt is None:
        return {"data": b"", "attempt": None, "offset": 0, "next": 0, "end": not live, "live": live}
    path = context.store.directories.attempt(attempt.token) / "output"
    # The state was read before the file: what an attempt that is over has written is all there.
    running = attempt.status is Status.RUNNING
    offset, data, size = await anyio.to_thread.run_sync(_read, path, params.offset, params.limit)
    following = offset + len(data)
    return {
        "data": data,
        "attempt": attempt.number,
        "offset": offset,
        "next": following,
        "end": not running and following >= size,
        "live": running,
    }


def _read(path: Path, offset: int, limit: int) -> tuple[int, bytes, int]:
    """(where the bytes begin, the bytes, the size of the file); nothing of a file that is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return max(offset, 0), b"", 0
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return 0, b"", 0
        start = max(0, status.st_size + offset) if offset < 0 else offset
        return start, os.pread(descriptor, limit, start), status.st_size
    finally:
        os.close(descriptor)


def read_tail(path: Path, limit: int) -> bytes:
    """The last ``limit`` bytes of an output; nothing of a file that is not there."""
    return _read(path, -limit, limit)[1]
