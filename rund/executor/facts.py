"""Reads the facts of an attempt from its directory; nothing that stands there can make it fail.

Rules:

- The locks are looked at before the records: a record that is missing after its writer was seen gone stays missing.
- What cannot be told counts as alive, and a record that cannot be read is damaged, not missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rund.executor.framing import EXIT, RECORD_SIZE, SHIM_LOCK, STARTED, TRIAL_LOCK, DamagedRecordError
from rund.executor.locks import NotAFileError, boot_id, is_held, open_plain
from rund.executor.records import read_exit, read_start
from rund.model.facts import AttemptFacts

_Value = TypeVar("_Value")


def read_facts(directory: Path, *, boot: str | None = None) -> AttemptFacts:
    """What attempt directory ``directory`` tells; not to be asked while the attempt is being submitted.

    ``boot`` is the boot id that was recorded with the intent.  It is needed for a daemon that died between the intent
    and the first file here: without it, an attempt that left nothing is not proven to be of this boot.
    """
    damaged: list[str] = []
    shim_alive = _held(directory / SHIM_LOCK, damaged)
    trial_alive = _held(directory / TRIAL_LOCK, damaged)
    started = _record(directory / STARTED, read_start, damaged)
    exit_record = _record(directory / EXIT, read_exit, damaged)
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
        damaged=tuple(damaged),
    )


def _held(path: Path, damaged: list[str]) -> bool:
    try:
        return is_held(path)
    except NotAFileError as error:
        damaged.append(f"{path.name}: {error}")
        return False
    except OSError as error:
        damaged.append(f"{path.name}: {_words(error)}")
        # A symbolic link or a missing directory is held by none; short of descriptors or rights, nobody can tell.
        return not _cannot_exist(path)


def _cannot_exist(path: Path) -> bool:
    return not path.parent.is_dir() or path.is_symlink()


def _record(path: Path, read: Callable[[bytes], _Value], damaged: list[str]) -> _Value | None:
    try:
        return read(_content(path))
    except FileNotFoundError:
        return None
    except DamagedRecordError as error:
        damaged.append(f"{path.name}: {error}")
    except OSError as error:
        damaged.append(f"{path.name}: {_words(error)}")
    return None


def _content(path: Path) -> bytes:
    descriptor = open_plain(path)
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


def _words(error: OSError) -> str:
    return str(error.strerror or error).lower()
