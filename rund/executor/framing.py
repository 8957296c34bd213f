"""The form of an attempt's records: ``CRC LENGTH JSON`` and a line feed, and nothing but zeroes after it.

The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import json
import zlib
from typing import Final

SHIM_LOCK: Final = "shim.lock"  # locked until its shim has done with the attempt, or is gone; holds the boot id
TRIAL_LOCK: Final = "trial.lock"  # locked for as long as the trial, or who it handed its descriptors to, lives
STARTED: Final = "started"  # written before the trial may execute
EXIT: Final = "exit"  # how its main process ended; zeroes until then
OUTPUT: Final = "output"  # stdout and stderr, in the order written

STARTED_SIZE: Final = 1  # bytes of ``trial.lock`` from when ``started`` was written: that one may be removed
RECORD_SIZE: Final = 4096  # bytes; preallocated, so that a full disk cannot lose an end
_HEADER_SIZE: Final = 16  # "%08x %06d "


class DamagedRecordError(Exception):
    """Bytes that are no record; the message says why, in lower case."""


def frame(body: bytes) -> bytes:
    """The record that carries ``body``; raises `ValueError` if it is longer than a record may be."""
    record = b"%08x %06d %s\n" % (zlib.crc32(body), len(body), body)
    if len(record) > RECORD_SIZE:
        raise ValueError(f"a record of {len(record)} bytes does not fit in {RECORD_SIZE}")
    return record


def frame_fields(fields: dict[str, object]) -> bytes:
    """The record of these names and values."""
    return frame(json.dumps(fields).encode())


def unframe(data: bytes) -> bytes | None:
    """The body of a record; None for one that was preallocated and never written.

    Raises `DamagedRecordError` for everything else that `frame` did not make.
    """
    if not data.strip(b"\0"):
        return None
    header = data[:_HEADER_SIZE]
    if len(header) < _HEADER_SIZE or not header[9:15].isdigit():
        raise DamagedRecordError("it does not begin like a record")
    end = _HEADER_SIZE + int(header[9:15])
    body, after = data[_HEADER_SIZE:end], data[end:]
    if after[:1] != b"\n":
        raise DamagedRecordError("it is cut short")
    if header != b"%08x %06d " % (zlib.crc32(body), len(body)):
        raise DamagedRecordError("its checksum does not fit")
    if after[1:].strip(b"\0"):
        raise DamagedRecordError("something stands after its end")
    return body
