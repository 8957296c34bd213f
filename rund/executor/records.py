"""Reads records, bytes to values; damaged ones raise, and no value ever contradicts itself.

The decoders are made once, when this is imported: threads that make one of the same kind at the same time crash.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

import msgspec

from rund.executor.framing import DamagedRecordError, unframe
from rund.model.facts import ExitRecord, StartRecord

_Record = TypeVar("_Record", StartRecord, ExitRecord)

_START: Final = msgspec.json.Decoder(StartRecord)
_EXIT: Final = msgspec.json.Decoder(ExitRecord)


def read_start(data: bytes) -> StartRecord:
    """The record in ``data``; raises `DamagedRecordError` if it holds none."""
    record = _decode(data, _START)
    if record is None:
        raise DamagedRecordError("it is empty")
    return record


def read_exit(data: bytes) -> ExitRecord | None:
    """The record in ``data``, None if it was not written yet; raises `DamagedRecordError` if it is damaged."""
    record = _decode(data, _EXIT)
    if record is not None and not _agrees(record):
        raise DamagedRecordError("its wait status and what it says of it do not agree")
    return record


def _decode(data: bytes, decoder: msgspec.json.Decoder[_Record]) -> _Record | None:
    body = unframe(data)
    if body is None:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedRecordError(f"it is not what it should be: {error}") from None


def _agrees(record: ExitRecord) -> bool:
    status = record.wait_status
    exited = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    ended = exited is not None or signalled is not None
    executed = record.exec_errno is None or exited not in (None, 0)
    return ended and executed and (record.exit_status, record.signal) == (exited, signalled)
