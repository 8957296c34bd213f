"""Reads the facts of an attempt from its directory; nothing that stands there can make it fail.

Rules:

- The locks are looked at before the records: a record that is missing after its writer was seen gone stays missing.
- What cannot be told, also for want of descriptors or memory, counts as alive: whoever asks again later learns it.
- A record that cannot be read is damaged, not missing; so is one that was removed, as far as that can be told.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from rund.executor.framing import (
    EXIT,
    OUTPUT,
    RECORD_SIZE,
    SHIM_LOCK,
    STARTED,
    STARTED_SIZE,
    TRIAL_LOCK,
    DamagedRecordError,
)
from rund.executor.locks import NotAFileError, boot_id, is_held, open_plain
from rund.executor.processes import some_has_named
from rund.executor.records import read_exit, read_start
from rund.executor.reopening import reopened
from rund.executor.revoking import is_revoked
from rund.model.facts import AttemptFacts
from rund.operations.scalars import read_scalars

_Value = TypeVar("_Value")

_IN_ORDER: Final = (SHIM_LOCK, EXIT, TRIAL_LOCK, OUTPUT)  # as they are made; none is ever removed by rund

_SCALARS_READ: Final = 1_048_576  # bytes at the end of an output in which scalars are looked for

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # of this process, not of what it looks at


class _CannotTellError(Exception):
    """A file could not be looked at now; the message says why."""


def read_facts(directory: Path, *, boot: str | None = None, handed_over: bool = False) -> AttemptFacts:
    """What attempt directory ``directory`` tells; not to be asked while the attempt is being submitted.

    ``boot`` is the boot id that was recorded with the intent.  It is needed for a daemon that died between the intent
    and the first file here: without it, an attempt that left nothing is not proven to be of this boot.
    ``handed_over``: it is known that a shim was asked for, so that its lock must be here.
    """
    damaged: list[str] = []
    try:
        shim_alive = _held(directory / SHIM_LOCK, damaged)
        trial_alive = _held(directory / TRIAL_LOCK, damaged)
        started = _record(directory / STARTED, read_start, damaged)
        exit_record = _record(directory / EXIT, read_exit, damaged)
    except _CannotTellError as error:
        return AttemptFacts(
            shim_alive=True, trial_alive=True, started=None, exit=None, same_boot=False, damaged=(str(error),)
        )
    removed = _removed(directory, started=started is not None, handed_over=handed_over)
    if removed is not None:
        damaged.append(f"{removed}: it was removed")
    # A lock that was removed is held all the same.
    trial_alive = trial_alive or (removed == SHIM_LOCK and some_has_named(lock_names(directory)))
    if started is not None and exit_record is not None and started.token != exit_record.token:
        damaged.append(f"{EXIT}: it is of another attempt")
        exit_record = None
    boots = {record.boot_id for record in (started, exit_record) if record is not None}
    written, fault = _lock_content(directory / SHIM_LOCK)
    return AttemptFacts(
        shim_alive=shim_alive,
        trial_alive=trial_alive,
        started=started,
        exit=exit_record,
        same_boot=(boots | {known for known in (written, boot) if known}) == {boot_id()},
        fault=fault,
        scalars={} if shim_alive or exit_record is None else _scalars(directory / OUTPUT),
        damaged=tuple(damaged),
        revoked=exit_record is None and started is None and is_revoked(directory),
    )


def read_end(directory: Path) -> AttemptFacts | None:
    """What tells of a recorded end, if no shim sees to the attempt any more; None: `read_facts` is to be asked.

    Nothing else is looked at, for it would tell no other end: see `rund.engine.recover`.
    """
    try:
        if is_held(directory / SHIM_LOCK):
            return None
        record = read_exit(_content(directory / EXIT))
    except (OSError, DamagedRecordError):
        return None
    if record is None or record.token != directory.name:
        return None
    return AttemptFacts(
        shim_alive=False,
        trial_alive=False,
        started=None,
        exit=record,
        same_boot=record.boot_id == boot_id(),
        scalars=_scalars(directory / OUTPUT),
    )


def lock_names(directory: Path) -> list[str]:
    """How the paths of an attempt's locks end, wherever they were moved: no two attempts have folders of one name."""
    return [f"/{directory.name}/{name}" for name in (SHIM_LOCK, TRIAL_LOCK)]


def _removed(directory: Path, *, started: bool, handed_over: bool) -> str | None:
    """Which file was here and is gone: else an attempt that has not ``started`` would be proven never to have run."""
    present = [os.path.lexists(directory / name) for name in _IN_ORDER]
    if not present[0]:
        later = handed_over or started or any(present)
        return SHIM_LOCK if later or some_has_named(lock_names(directory)) else None
    if started:
        return None  # the rest tells no more
    for name, here, after in zip(_IN_ORDER, present, present[1:], strict=False):
        if after and not here:
            return name
    return STARTED if _had_started(directory) else None


def _had_started(directory: Path) -> bool:
    """Whether there was a ``started``, by what else is there."""
    return _size(directory / TRIAL_LOCK) >= STARTED_SIZE or _size(directory / OUTPUT) > 0


def _size(path: Path) -> int:
    """Of a regular file, in bytes; 0 if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _held(path: Path, damaged: list[str]) -> bool:
    try:
        return reopened(is_held, path)
    except NotAFileError as error:
        damaged.append(f"{path.name}: {error}")
        return False
    except OSError as error:
        _note(path, error, damaged)
        # A symbolic link is nobody's lock; whether one that may not be opened is held, nobody can tell.
        return not os.path.islink(path)  # noqa: PTH114 - pathlib's raises where a folder is closed


def _record(path: Path, read: Callable[[bytes], _Value], damaged: list[str]) -> _Value | None:
    try:
        return read(_content(path))
    except FileNotFoundError:
        return None
    except DamagedRecordError as error:
        damaged.append(f"{path.name}: {error}")
    except OSError as error:
        _note(path, error, damaged)
    return None


def _content(path: Path) -> bytes:
    descriptor = reopened(open_plain, path)
    try:
        return os.read(descriptor, RECORD_SIZE + 1)
    finally:
        os.close(descriptor)


def _lock_content(path: Path) -> tuple[str | None, str | None]:
    """The boot id that was written into the shim's lock, and what a shim that failed added to it."""
    try:
        content = _content(path).decode("utf-8", "replace")
    except OSError:
        return None, None
    boot, _, fault = content.partition("\n")
    return boot or None, fault.strip() or None


def _note(path: Path, error: OSError, damaged: list[str]) -> None:
    note = f"{path.name}: {str(error.strerror or error).lower()}"
    if error.errno in _EXHAUSTED:
        raise _CannotTellError(note) from None
    damaged.append(note)


def _scalars(output: Path) -> dict[str, float]:
    try:
        descriptor = reopened(open_plain, output)
    except OSError:
        return {}
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            return {}
        begin = max(0, size - _SCALARS_READ)
        return read_scalars(os.pread(descriptor, _SCALARS_READ, begin).decode("utf-8", "replace"))
    except OSError:
        return {}
    finally:
        os.close(descriptor)
