"""The daemon's log is bounded where it is a file of its own home."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

LIMIT = 4_000

WRITER = """
import logging, sys
from pathlib import Path
from rund.log import bound_log, set_up_log

set_up_log()
bound_log(Path(sys.argv[1]), limit=int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    logging.info("line %d", number)
print("by print")
"""


def write(log: Path, bounded: Path, lines: int) -> None:
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-c", WRITER, bounded, str(LIMIT), str(lines)]
    subprocess.run(command, stdout=descriptor, stderr=descriptor, check=True, timeout=60)
    os.close(descriptor)


def numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"INFO line (\d+)\n", path.read_text())]


def test_a_log_that_grows_is_begun_anew_and_the_one_before_is_kept(tmp_path: Path) -> None:
    log, before = tmp_path / "rund.log", tmp_path / "rund.log.1"
    write(log, log, 500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rund.log", "rund.log.1"]
    for path in (log, before):
        assert path.stat().st_size < LIMIT + 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = numbers(before) + numbers(log)
    assert kept == list(range(500))[-len(kept) :], "the end is kept, without a gap"
    assert log.read_text().endswith("by print\n")


def test_what_is_not_the_homes_own_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "elsewhere"
    (tmp_path / "rund.log").write_text("another\n")
    write(log, tmp_path / "rund.log", 500)
    assert numbers(log) == list(range(500))
    assert (tmp_path / "rund.log").read_text() == "another\n"


def test_a_log_whose_folder_takes_no_other_file_is_bounded_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "rund.log"
    (tmp_path / "rund.log.1" / "in the way").mkdir(parents=True)
    write(log, log, 500)
    assert log.stat().st_size < LIMIT + 200
    assert numbers(log)[-1] == 499
