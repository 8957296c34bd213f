"""The form of records, and that none is read from what is not one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.executor.framing import RECORD_SIZE, DamagedRecordError, frame, frame_fields, unframe
from rund.executor.records import read_exit, read_start

START: dict[str, Any] = {
    "token": "t",
    "boot_id": "b",
    "shim_pid": 10,
    "shim_start_time": 1,
    "grace": 5.0,
    "started": 100.0,
    "boottime": 1.0,
}
EXIT: dict[str, Any] = {
    "token": "t",
    "boot_id": "b",
    "wait_status": 768,
    "exit_status": 3,
    "signal": None,
    "core": False,
    "exec_errno": None,
    "exec_step": None,
    "stopped": False,
    "usage": {"max_rss": 4096, "user_time": 0.5, "system_time": 0.25},
    "started": 100.0,
    "ended": 101.0,
    "boottime": 2.0,
}


def padded(record: bytes) -> bytes:
    return record.ljust(RECORD_SIZE, b"\0")


@given(st.binary(max_size=RECORD_SIZE - 17))
def test_a_body_comes_back_from_its_record_with_and_without_zeroes_after_it(body: bytes) -> None:
    assert unframe(frame(body)) == unframe(padded(frame(body))) == body


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_record_with_any_one_byte_changed_is_damaged(body: bytes, data: st.DataObject) -> None:
    record = bytearray(frame(body))
    at = data.draw(st.integers(min_value=0, max_value=len(record) - 1))
    record[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    with pytest.raises(DamagedRecordError):
        unframe(bytes(record))


@given(st.binary(max_size=300).map(frame), st.data())
def test_a_record_cut_short_is_damaged_also_with_zeroes_in_place_of_its_end(record: bytes, data: st.DataObject) -> None:
    cut = record[: data.draw(st.integers(min_value=1, max_value=len(record) - 1))]
    for torn in (cut, padded(cut)):
        with pytest.raises(DamagedRecordError):
            unframe(torn)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_damaged_or_empty_and_never_anything_else(data: bytes) -> None:
    with contextlib.suppress(DamagedRecordError):
        body = unframe(data)
        assert body is None or data.startswith(frame(body))


def test_a_body_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        frame(b"x" * RECORD_SIZE)


def test_an_exit_record_that_was_only_preallocated_is_none() -> None:
    assert read_exit(padded(b"")) is None


def test_records_are_read_into_their_fields() -> None:
    start = read_start(frame_fields(START))
    assert (start.token, start.shim_pid, start.shim_start_time) == ("t", 10, 1)
    end = read_exit(padded(frame_fields(EXIT)))
    assert end is not None
    assert (end.exit_status, end.signal, end.usage.max_rss) == (3, None, 4096)


def test_a_start_record_that_is_empty_is_damaged() -> None:
    with pytest.raises(DamagedRecordError):
        read_start(b"")


@pytest.mark.parametrize(
    "change",
    [
        {"exit_status": 0},
        {"exit_status": None},
        {"signal": 9},
        {"wait_status": 0},
        {"wait_status": 0, "exit_status": 0, "exec_errno": 2},
        {"wait_status": 0x137F, "exit_status": None},  # stopped, not ended
    ],
)
def test_an_exit_record_that_contradicts_itself_is_damaged(change: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError, match="do not agree"):
        read_exit(frame_fields(EXIT | change))


@pytest.mark.parametrize("name", sorted(START))
def test_a_start_record_without_a_field_or_with_one_of_another_type_is_damaged(name: str) -> None:
    for wrong in ({key: value for key, value in START.items() if key != name}, START | {name: [1]}):
        with pytest.raises(DamagedRecordError):
            read_start(frame_fields(wrong))


@pytest.mark.parametrize("name", sorted(EXIT))
def test_an_exit_record_without_a_field_or_with_one_of_another_type_is_damaged(name: str) -> None:
    for wrong in ({key: value for key, value in EXIT.items() if key != name}, EXIT | {name: [1]}):
        with pytest.raises(DamagedRecordError):
            read_exit(frame_fields(wrong))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", json.dumps("x").encode()])
def test_a_whole_record_of_something_else_is_damaged(body: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        read_exit(frame(body))
