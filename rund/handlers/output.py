"""output: bytes of what an attempt has written, as they come."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from rund.api.params import OutputParams
from rund.errors import NotFoundError
from rund.executor.locks import open_plain
from rund.handlers.context import Call, Context, Reply
from rund.model.run import Attempt, Run
from rund.model.status import LIVE, Status
from rund.store.reader import Reader
from rund.threads import in_thread

# A file that grows wakes nobody: while somebody follows it, it is looked at again after these seconds.
_SHORTEST_LOOK = 0.02
_LONGEST_LOOK = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Bytes of an output."""

    data: bytes
    offset: int  # of the first of them
    size: int  # bytes that were written
    dropped: int  # of those, how many at the beginning are not kept


async def output(context: Context, call: Call[OutputParams]) -> Reply:
    """Bytes from ``offset`` on; where there are none yet, and more may come, waits up to ``timeout``."""
    params = call.params
    await call.peer.turn()  # whoever does not read what was read for it has no more read
    reply = await _output(context, params)
    if params.timeout and not _final(reply):
        pause = _SHORTEST_LOOK
        with anyio.move_on_after(params.timeout):
            while not _final(reply):
                call.peer.pass_turn()
                bell = context.broker.bell
                with anyio.move_on_after(pause):
                    await bell.wait()
                pause = min(2 * pause, _LONGEST_LOOK)
                await call.peer.turn()
                reply = await _output(context, params)
    del reply["live"]
    return reply


def _final(reply: dict[str, Any]) -> bool:
    return bool(reply["data"]) or not reply["live"]


async def _output(context: Context, params: OutputParams) -> Reply:
    def query(reader: Reader) -> tuple[Run, Attempt | None]:
        run = reader.resolve(params.run)
        number = params.attempt or run.attempts
        attempt = reader.attempt(run.id, number) if number else None
        if attempt is None and params.attempt is not None:
            raise NotFoundError(f"run {run.id[:8]} has no attempt {params.attempt}: it has {run.attempts}")
        return run, attempt

    run, attempt = await context.store.read(query)
    if attempt is None:
        live = run.status in LIVE
        nothing = _Part(data=b"", offset=0, size=0, dropped=0)
        return _reply(nothing, None, end=not live, live=live)
    # The state was read before the file: what an attempt that is over has written is all there.  A pending restart
    # has not begun its attempt: the one before is over, and not what is waited for.
    running = attempt.status is Status.RUNNING
    path = context.store.directories.attempt(attempt.token) / "output"
    try:
        part = await in_thread(_read, path, params.offset, params.limit)
    except OSError as error:
        part = _unreadable(run, attempt, error, params.offset)
    end = not running and part.offset + len(part.data) >= part.size
    return _reply(part, attempt.number, end=end, live=running)


def _reply(part: _Part, attempt: int | None, *, end: bool, live: bool) -> Reply:
    return {
        "data": part.data,
        "attempt": attempt,
        "offset": part.offset,
        "next": part.offset + len(part.data),
        "end": end,
        "size": part.size,
        "dropped": part.dropped,
        "live": live,
    }


def _unreadable(run: Run, attempt: Attempt, error: OSError, offset: int) -> _Part:
    """The empty output of an attempt that has made none; raises `NotFoundError` where there should be one."""
    executed = attempt.exit_status is not None or attempt.signal is not None
    if isinstance(error, FileNotFoundError) and not executed:
        return _Part(data=b"", offset=max(offset, 0), size=0, dropped=0)
    what = f"the output of attempt {attempt.number} of run {run.id[:8]}"
    if isinstance(error, FileNotFoundError):
        raise NotFoundError(f"{what} is gone: its file was removed")
    words = "a symbolic link stands there" if error.errno == errno.ELOOP else str(error.strerror or error).lower()
    raise NotFoundError(f"{what} cannot be read: {words}")


def _read(path: Path, offset: int, limit: int) -> _Part:
    """Up to ``limit`` bytes from ``offset`` on, or from the first that is kept; raises OSError."""
    descriptor = open_plain(path)
    try:
        while True:
            size = os.fstat(descriptor).st_size
            dropped = _dropped(descriptor, size)
            start = max(size + offset, dropped) if offset < 0 else max(offset, dropped)
            data = os.pread(descriptor, limit, start)
            # What was dropped while it was read reads as zeroes.
            if _dropped(descriptor, size) <= start:
                return _Part(
                    data=data, offset=start, size=max(size, start + len(data)) if data else size, dropped=dropped
                )
    finally:
        os.close(descriptor)


def _dropped(descriptor: int, size: int) -> int:
    """How many of the first ``size`` bytes are a hole: where its bound has cut it, see `rund.executor.output_bound`."""
    try:
        return min(os.lseek(descriptor, 0, os.SEEK_DATA), size)
    except OSError:  # ENXIO: nothing but a hole, or nothing at all; else a file system that knows no holes
        return 0


def read_tail(path: Path, limit: int) -> bytes:
    """The last ``limit`` bytes of an output; nothing of a file that cannot be read."""
    try:
        return _read(path, -limit, limit).data
    except OSError:
        return b""
