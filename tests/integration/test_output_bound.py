"""An output is kept within its limit, by the shim, while the trial goes on writing to it."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from rund.engine.recover import Ended
from rund.executor.adoption import bound_output
from rund.executor.backend import Submission
from rund.executor.facts import read_facts
from rund.executor.local import LocalBackend
from rund.executor.output_bound import BLOCK
from tests.integration.attempts import (
    Attempts,
    Bell,
    all_ended,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    found,
)
from tests.integration.bare_shim import run_shim

LIMIT = 2**20
PART = 8 * LIMIT
DEADLINE = 60.0

# Writes a part, each of its bytes the part's number, and says so; the next when it is told to; ends at the last.
WRITER = """
import os, sys
told = open(sys.argv[1], "r")
for number in range(int(sys.argv[2])):
    left = memoryview(bytes([number]) * {part})
    while left:
        left = left[os.write(1, left):]
    told.readline()
"""


def disk_use(attempt: Submission) -> int:
    return (attempt.directory / "output").stat().st_blocks * 512


def hole(attempt: Submission) -> int:
    with (attempt.directory / "output").open("rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_DATA)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        select.select([], [], [], 0.01)


def waits_for_ever(pid: int) -> bool:
    """Whether the shim waits without a time-out: the third argument of its sigtimedwait is null."""
    words = Path(f"/proc/{pid}/syscall").read_text().split()
    return len(words) > 3 and words[3] == "0x0"


def writer(attempts: Attempts, bell: Bell, parts: int) -> Submission:
    code = WRITER.format(part=PART)
    return replace(attempts.make(sys.executable, "-I", "-c", code, str(bell.path), str(parts)), output_limit=LIMIT)


@pytest.mark.anyio
async def test_it_is_bounded_again_and_again_and_silence_costs_no_wake_up(attempts: Attempts, bell: Bell) -> None:
    attempt = writer(attempts, bell, 3)
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        for number in range(3):
            size = (number + 1) * PART
            await anyio.to_thread.run_sync(wait_until, lambda size=size: hole_or_none(attempt) > size - LIMIT)
            assert disk_use(attempt) <= LIMIT + BLOCK
            started = read_facts(attempt.directory).started
            assert started is not None
            await anyio.to_thread.run_sync(wait_until, lambda pid=started.shim_pid: waits_for_ever(pid))
            bell.ring()
        await all_ended(backend, attempt)
    data = (attempt.directory / "output").read_bytes()
    cut = hole(attempt)
    assert len(data) == 3 * PART
    assert LIMIT - LIMIT // 4 <= len(data) - cut <= LIMIT
    assert data[cut:] == b"\x02" * (len(data) - cut)
    assert isinstance(found(attempt), Ended)


def test_what_is_written_at_once_is_cut_at_the_end(attempts: Attempts) -> None:
    attempt = replace(attempts.shell(f"head -c {PART} /dev/zero | tr '\\0' x; echo; echo end"), output_limit=LIMIT)
    assert run_shim(attempt) == 0
    assert disk_use(attempt) <= LIMIT + BLOCK
    assert (attempt.directory / "output").read_bytes()[hole(attempt) :].rstrip(b"x")[-4:] == b"end\n"


@pytest.mark.parametrize("limit", [0, 2 * PART])
def test_what_is_within_the_limit_is_kept_whole(attempts: Attempts, limit: int) -> None:
    attempt = replace(attempts.shell(f"head -c {PART} /dev/zero | tr '\\0' x"), output_limit=limit)
    assert run_shim(attempt) == 0
    assert (attempt.directory / "output").read_bytes() == b"x" * PART


def test_a_trial_may_empty_its_output_itself(attempts: Attempts) -> None:
    fill = f"head -c {PART} /dev/zero | tr '\\0' x"
    attempt = replace(attempts.shell(f"{fill}; sleep 0.3; : >{attempts.folder(1)}/output; {fill}; echo end"))
    attempt = replace(attempt, output_limit=LIMIT)
    assert run_shim(attempt) == 0
    assert disk_use(attempt) <= LIMIT + BLOCK
    assert (attempt.directory / "output").read_bytes().endswith(b"xend\n")


REFUSED = """
import errno, rund.executor.output_bound as bound
def refuse(*_):
    raise OSError(errno.EOPNOTSUPP, "not here")
bound.drop_head = refuse
"""
UNTOLD = """
import rund.executor.output_bound as bound
bound._UNTOLD = 0.05
bound.OutputBound._ask_to_be_told = lambda _: False
"""


def test_where_holes_cannot_be_punched_all_is_kept(attempts: Attempts) -> None:
    attempt = replace(attempts.shell(f"head -c {PART} /dev/zero | tr '\\0' x; sleep 0.3"), output_limit=LIMIT)
    assert run_shim(attempt, before=REFUSED) == 0
    assert (attempt.directory / "output").read_bytes() == b"x" * PART


def test_a_kernel_that_tells_no_writes_is_done_without(attempts: Attempts, bell: Bell) -> None:
    attempt = writer(attempts, bell, 2)

    def ring_when_bounded() -> None:
        for number in (1, 2):
            wait_until(lambda: (attempt.directory / "output").exists())
            wait_until(lambda number=number: hole_or_none(attempt) > number * PART - LIMIT)
            bell.ring()

    ringer = threading.Thread(target=ring_when_bounded)
    ringer.start()
    assert run_shim(attempt, before=UNTOLD) == 0
    ringer.join()
    assert hole(attempt) > 2 * PART - LIMIT


def hole_or_none(attempt: Submission) -> int:
    try:
        return hole(attempt)
    except OSError:  # nothing is written yet
        return -1


def test_what_has_lost_its_shim_is_bounded_the_same(attempts: Attempts) -> None:
    attempt = attempts.make("true")
    output = attempt.directory / "output"
    output.write_bytes(b"x" * PART + b"end")
    bound_output(attempt.directory, 0)
    assert hole(attempt) == 0
    bound_output(attempt.directory, LIMIT)
    assert disk_use(attempt) <= LIMIT + BLOCK
    assert PART + 3 - hole(attempt) <= LIMIT
    assert output.read_bytes().endswith(b"xxxend")


def test_nothing_but_a_regular_file_is_bounded_and_none_is_waited_for(attempts: Attempts, tmp_path: Path) -> None:
    for make in (os.mkfifo, lambda path: path.symlink_to(tmp_path / "other"), Path.mkdir):
        attempt = attempts.make("true")
        (tmp_path / "other").write_bytes(b"x" * PART)
        make(attempt.directory / "output")
        bound_output(attempt.directory, LIMIT)
        assert (tmp_path / "other").read_bytes() == b"x" * PART
