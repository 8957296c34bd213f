"""A shim by itself: what it does before and after it executes the trial."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rund.clock import boottime, now
from rund.engine.recover import Ended, NeverRan
from rund.executor.facts import read_facts
from rund.executor.framing import EXIT, RECORD_SIZE, TRIAL_LOCK
from rund.executor.local import LocalBackend
from rund.model.status import Status
from tests.integration.attempts import (
    Attempts,
    Bell,
    all_ended,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    found,
)
from tests.integration.bare_shim import ROOT, run_shim


def test_a_stop_that_comes_before_the_execution_is_recorded_and_nothing_is_executed(attempts: Attempts) -> None:
    attempt = attempts.shell("echo ran")
    assert run_shim(attempt, before="os.kill(os.getpid(), signal.SIGTERM)") == 0
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason) == (Status.TERMINATED, "stopped")
    assert (attempt.directory / "output").read_bytes() == b""


def test_a_shim_that_cannot_take_its_records_place_runs_nothing_and_tells_why(attempts: Attempts) -> None:
    attempt = attempts.shell("echo ran")
    small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))"
    assert run_shim(attempt, before=small) == 1
    finding = found(attempt)
    assert isinstance(finding, NeverRan)
    assert finding.fault is not None
    assert "File too large" in finding.fault


def test_a_shim_that_cannot_write_that_it_started_runs_nothing(attempts: Attempts) -> None:
    attempt = attempts.shell("echo ran")
    (attempt.directory / "started.new").mkdir()
    assert run_shim(attempt) == 1
    with (attempt.directory / TRIAL_LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # the trial ends by itself, behind its gate, some time after its shim
    assert isinstance(found(attempt), NeverRan)
    assert (attempt.directory / "output").read_bytes() == b""


def test_the_exit_record_has_its_place_before_the_trial_begins(attempts: Attempts) -> None:
    attempt = attempts.shell(f"stat -c '%s %b' {attempts.folder(1)}/{EXIT}")
    assert run_shim(attempt) == 0
    size, blocks = (attempt.directory / "output").read_text().split()
    assert (int(size), int(blocks) > 0) == (RECORD_SIZE, True)


def test_the_records_agree_on_what_they_are_of(attempts: Attempts) -> None:
    attempt = attempts.shell("echo $PPID")
    assert run_shim(attempt) == 0
    facts = read_facts(attempt.directory)
    assert facts.started is not None
    assert facts.exit is not None
    assert facts.same_boot
    assert facts.started.token == facts.exit.token == attempt.token
    assert facts.started.shim_pid == int((attempt.directory / "output").read_text())
    assert 0 < facts.started.boottime <= facts.exit.boottime
    assert facts.started.started == facts.exit.started <= facts.exit.ended


def test_a_core_dump_is_recorded(attempts: Attempts) -> None:
    attempt = attempts.shell("ulimit -c unlimited; kill -QUIT $$")
    assert run_shim(attempt, before="import resource; os.umask(0o077)") == 0
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert finding.signal == signal.SIGQUIT


def test_a_shim_loads_nothing_that_would_cost_every_shim() -> None:
    code = "import sys; sys.path.append(sys.argv[1]); import rund.executor.fork_server; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, ROOT]
    loaded = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert loaded.isdisjoint({"asyncio", "dataclasses", "inspect", "logging", "pathlib", "subprocess", "threading"})
    assert {name for name in loaded if name.startswith("rund.")} < {
        "rund.clock",
        "rund.executor",
        *(f"rund.executor.{name}" for name in ("fork_server", "framing", "locks", "output_bound", "processes")),
        *(f"rund.executor.shim{name}" for name in ("", "_records", "_request", "_supervisor", "_trial")),
    } | {""}


@pytest.mark.anyio
async def test_a_shim_costs_little_memory(attempts: Attempts, bell: Bell) -> None:
    many = [attempts.shell(f"echo ready >{bell.path}; exec sleep 1000") for _ in range(10)]
    async with LocalBackend() as backend:
        assert await backend.submit(many) == {}
        for _ in many:
            await bell.line()
        private = [_private_memory(attempt.directory) for attempt in many]
        await backend.cancel([attempt.token for attempt in many])
        await all_ended(backend, *many)
    assert max(private) < 2 << 20


def _private_memory(directory: Path) -> int:
    started = read_facts(directory).started
    assert started is not None
    assert os.getpid() != started.shim_pid
    lines = Path(f"/proc/{started.shim_pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private"))


def test_times_are_the_recorded_start_and_what_passed_since_whatever_the_clock_says(attempts: Attempts) -> None:
    # As if the machine's clock had been set back by a day since the start was recorded, and that had been a minute ago.
    attempt = replace(attempts.shell("exit 0"), started=now() + 86_400.0, began=boottime() - 60.0)
    assert run_shim(attempt) == 0
    facts = read_facts(attempt.directory)
    assert facts.exit is not None
    assert facts.started is not None
    assert facts.started.started == facts.exit.started == attempt.started
    passed = facts.exit.ended - attempt.started
    assert abs(passed - (facts.exit.boottime - attempt.began)) < 0.001
    assert passed >= 60.0
