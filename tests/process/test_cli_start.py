"""What a command costs before it does anything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.process.conftest import BIN, Machine

ROUNDS = 15
MOST = 3.0  # times an interpreter that does nothing


def test_a_list_costs_at_most_three_bare_interpreters(served: Machine, tmp_path: Path) -> None:
    env = served.env | {"PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    bare = [sys.executable, "-c", "pass"]
    listing = [str(BIN / "runctl"), "list"]
    processor_time(listing, env)  # compiles
    # Side by side, and the least of each: a busy machine slows single rounds of either.
    rounds = [(processor_time(bare, env), processor_time(listing, env)) for _ in range(ROUNDS)]
    assert min(cost for _, cost in rounds) <= MOST * min(cost for cost, _ in rounds), rounds


def processor_time(command: list[str], env: dict[str, str]) -> float:
    """Seconds of processor time that ``command`` takes, as a whole process."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        streams = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
        pid = os.posix_spawn(command[0], command, env, file_actions=streams)
        _, status, usage = os.wait4(pid, 0)
    finally:
        os.close(null)
    assert status == 0
    return usage.ru_utime + usage.ru_stime
