"""The lock of a home: held by a process that lives, it is refused; left over by one that is gone, it is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rund.errors import BusyError
from rund.home import locked_home

# Takes the lock, forks a process that has it too until its standard input is closed, and is gone.
LEAVES = """
import os, sys
from pathlib import Path
from rund.home import locked_home
held = locked_home(Path(sys.argv[1]))
held.__enter__()
if os.fork() == 0:
    os.write(1, b"held")
    os.close(1)
    os.read(0, 1)
os._exit(0)
"""
TAKES = """
import sys
from pathlib import Path
from rund.home import locked_home
print("tries", flush=True)
with locked_home(Path(sys.argv[1])):
    print("taken")
"""


def test_a_lock_that_a_process_holds_is_refused_with_its_number(tmp_path: Path) -> None:
    with (
        locked_home(tmp_path / "lock"),
        pytest.raises(BusyError, match=rf"pid {os.getpid()}"),
        locked_home(tmp_path / "lock"),
    ):
        pass


def test_a_lock_that_a_dead_daemon_left_to_what_it_was_starting_is_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, "-c", LEAVES, lock], stdin=reader, stdout=subprocess.PIPE) as left:
        os.close(reader)
        assert left.stdout is not None
        assert left.stdout.read() == b"held"
        left.wait()
        with subprocess.Popen([sys.executable, "-c", TAKES, lock], stdout=subprocess.PIPE, text=True) as takes:
            assert takes.stdout is not None
            assert takes.stdout.readline() == "tries\n"
            os.close(writer)
            assert takes.stdout.read() == "taken\n"
