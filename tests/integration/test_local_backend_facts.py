"""Facts are read from whatever stands in an attempt's directory, and never raise."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

import pytest

from rund.engine.recover import Alive, Ended, Lost, NeverRan, recover
from rund.executor.adoption import look
from rund.executor.facts import read_end, read_facts
from rund.executor.framing import (
    EXIT,
    OUTPUT,
    RECORD_SIZE,
    SHIM_LOCK,
    STARTED,
    STARTED_SIZE,
    TRIAL_LOCK,
    frame_fields,
)
from rund.executor.locks import boot_id, hold_new, is_held
from tests.integration.attempts import spare_descriptors


def test_an_empty_or_missing_directory_is_proven_to_be_of_this_boot_only_by_the_intent(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        assert isinstance(recover(read_facts(directory)), Lost)
        assert isinstance(recover(read_facts(directory, boot="another")), Lost)
        assert recover(read_facts(directory, boot=boot_id())) == NeverRan()


def test_an_attempt_that_was_handed_over_and_left_nothing_is_lost(tmp_path: Path) -> None:
    facts = read_facts(tmp_path / "missing", boot=boot_id(), handed_over=True)
    assert recover(facts) == Lost(reason="lost: its records are damaged")


def test_the_boot_is_told_by_the_lock_that_the_daemon_made(tmp_path: Path) -> None:
    os.close(hold_new(tmp_path / SHIM_LOCK, f"{boot_id()}\n".encode()))
    assert recover(read_facts(tmp_path)) == NeverRan()
    (tmp_path / SHIM_LOCK).write_text("another boot\n")
    assert recover(read_facts(tmp_path)) == Lost(reason="lost: the machine restarted")


def test_what_went_wrong_in_a_shim_is_told(tmp_path: Path) -> None:
    (tmp_path / SHIM_LOCK).write_text(f"{boot_id()}\nOSError: no space left\n")
    assert recover(read_facts(tmp_path)) == NeverRan(fault="OSError: no space left")


@pytest.mark.parametrize("name", [STARTED, EXIT])
@pytest.mark.parametrize("content", [b"{}", b"0" * 20, b"\xff" * 10_000, b"00000000 000002 {}\n", b"\n"])
def test_a_damaged_record_is_noted_and_its_attempt_is_lost(tmp_path: Path, name: str, content: bytes) -> None:
    os.close(hold_new(tmp_path / SHIM_LOCK, f"{boot_id()}\n".encode()))
    (tmp_path / name).write_bytes(content)
    facts = read_facts(tmp_path)
    assert (facts.started, facts.exit) == (None, None)
    assert [note.split(":")[0] for note in facts.damaged] == [name]
    assert recover(facts) == Lost(reason="lost: its records are damaged")


def test_a_preallocated_exit_record_is_not_damaged(tmp_path: Path) -> None:
    os.close(hold_new(tmp_path / SHIM_LOCK, f"{boot_id()}\n".encode()))
    (tmp_path / EXIT).write_bytes(bytes(RECORD_SIZE))
    facts = read_facts(tmp_path)
    assert (facts.exit, facts.damaged) == (None, ())


def test_a_recorded_end_is_told_by_its_record_alone_once_no_shim_sees_to_it(tmp_path: Path) -> None:
    usage = {"max_rss": 9_000_000, "user_time": 0.5, "system_time": 0.25}
    fields = {"token": tmp_path.name, "boot_id": boot_id(), "wait_status": 0, "exit_status": 0, "signal": None}
    fields |= {"core": False, "exec_errno": None, "exec_step": None, "stopped": False, "usage": usage}
    fields |= {"started": 1.0, "ended": 2.0, "boottime": 3.0}
    record = frame_fields(fields).ljust(RECORD_SIZE, b"\0")
    lock = hold_new(tmp_path / SHIM_LOCK, f"{boot_id()}\n".encode())
    (tmp_path / OUTPUT).write_text("accuracy: 0.5\n")
    (tmp_path / EXIT).write_bytes(record)
    assert read_end(tmp_path) is None
    assert look(tmp_path).alive, "its shim sees to what it has left"
    os.close(lock)
    told = read_end(tmp_path)
    assert told is not None
    assert isinstance(recover(told), Ended)
    assert look(tmp_path).finding == recover(told) == recover(read_facts(tmp_path))
    for other in (bytes(RECORD_SIZE), record[:100], frame_fields(fields | {"token": "another"})):
        (tmp_path / EXIT).write_bytes(other)
        assert read_end(tmp_path) is None
        assert look(tmp_path).finding == recover(read_facts(tmp_path))
    (tmp_path / EXIT).unlink()
    assert read_end(tmp_path) is None


def made_by_a_shim(directory: Path, *, started: bool) -> None:
    """What a shim leaves that is killed before it writes ``started``, or whose ``started`` was removed."""
    os.close(hold_new(directory / SHIM_LOCK, f"{boot_id()}\n".encode()))
    (directory / EXIT).write_bytes(bytes(RECORD_SIZE))
    (directory / TRIAL_LOCK).write_bytes(bytes(STARTED_SIZE if started else 0))
    (directory / OUTPUT).touch()


def test_a_shim_that_was_killed_before_it_started_anything_never_ran(tmp_path: Path) -> None:
    made_by_a_shim(tmp_path, started=False)
    assert recover(read_facts(tmp_path)) == NeverRan()


def test_a_start_record_that_was_removed_is_missed(tmp_path: Path) -> None:
    made_by_a_shim(tmp_path, started=True)
    assert recover(read_facts(tmp_path)) == Lost(reason="lost: its records are damaged")
    (tmp_path / TRIAL_LOCK).write_bytes(b"")
    (tmp_path / OUTPUT).write_bytes(b"it printed something")
    assert recover(read_facts(tmp_path)) == Lost(reason="lost: its records are damaged")


@pytest.mark.parametrize("name", [SHIM_LOCK, EXIT, TRIAL_LOCK])
def test_a_file_that_was_removed_is_missed_by_those_that_are_made_later(tmp_path: Path, name: str) -> None:
    made_by_a_shim(tmp_path, started=False)
    (tmp_path / name).unlink()
    assert recover(read_facts(tmp_path, boot=boot_id())) == Lost(reason="lost: its records are damaged")


@pytest.mark.parametrize("name", [STARTED, EXIT, SHIM_LOCK, TRIAL_LOCK])
def test_a_fifo_a_link_or_a_folder_in_place_of_a_file_holds_nobody_up(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(bytes(RECORD_SIZE))
    for make in (os.mkfifo, lambda path: path.symlink_to(target), Path.mkdir):
        directory = tmp_path / uuid.uuid4().hex  # no other test's attempt has a directory of this name
        directory.mkdir()
        for earlier in (SHIM_LOCK, EXIT, TRIAL_LOCK):
            if name in (STARTED, earlier):
                break
            (directory / earlier).touch()
        make(directory / name)
        facts = read_facts(directory, boot=boot_id())
        assert [note.split(":")[0] for note in facts.damaged] == [name]
        assert isinstance(recover(facts), Lost)


@pytest.mark.parametrize("spare", [0, 1])
def test_without_a_free_descriptor_nothing_is_concluded(tmp_path: Path, spare: int) -> None:
    # Links, which are nobody's locks: what is concluded hangs on the records alone.
    for name in (SHIM_LOCK, TRIAL_LOCK):
        (tmp_path / name).symlink_to("nowhere")
    (tmp_path / EXIT).write_bytes(bytes(RECORD_SIZE))
    boot = boot_id()  # read while there still are descriptors
    with spare_descriptors(spare):
        facts = read_facts(tmp_path, boot=boot)
    assert recover(facts) == (Lost(reason="lost: its records are damaged") if spare else Alive())


def test_a_lock_is_held_until_the_last_descriptor_of_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / SHIM_LOCK
    assert not is_held(path)
    first = hold_new(path, b"")
    second = os.dup(first)
    assert is_held(path)
    assert is_held(path)
    os.close(first)
    assert read_facts(tmp_path).shim_alive
    os.close(second)
    assert not is_held(path)


def test_two_who_look_at_a_lock_at_once_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / TRIAL_LOCK
    path.touch()
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_held(path)
