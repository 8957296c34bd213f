"""A shim of the fork server killed at every change, below an executor: no end is told that was not, nothing runs twice.

One scenario has several runs, which the shim takes one after the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.executor import shims
from rund.executor.executor import Executor
from rund.executor.facts import read_facts
from rund.executor.launch import Launcher
from rund.executor.local import LocalBackend
from rund.model.operation import Operation, OperationKind
from rund.model.run import Run
from rund.model.status import Status
from rund.operations.stored import operation_to_json
from rund.store.directories import Directories
from rund.store.reader import Reader
from rund.store.store import Store, prepare
from rund.store.transaction import Transaction
from tests.faults.changing_calls import SUPPORTED
from tests.faults.kill_world import ROOT
from tests.integration.conftest import AddRun, add_run

__all__ = ["add_run"]
pytestmark = pytest.mark.skipif(not SUPPORTED, reason="system calls are known by their numbers on x86-64")

PATIENCE: Final = 90.0  # seconds until a run that does not end is given up
AT_ONCE: Final = 4
IS_SHIM: Final = "grep -qs ^rund-shim /proc/$PPID/comm"
SCRIPTS: Final = {
    "plain": "exit 3",
    "leaving": "(setsid sleep 0.2 &); exit 3",
    "signal": "kill -9 $$",
    # Its parent is the shim, unless that was killed before this began: then nobody else is to be told anything.
    "stop": f"{IS_SHIM} || exit 3; kill -TERM $PPID; while {IS_SHIM}; do sleep 0.05; done",
    "again": "exit 3",
}
RUNS: Final = {"again": 3}  # else one
TRUE_ENDS: Final = {
    "plain": (Status.ERROR, "exit 3"),
    "leaving": (Status.ERROR, "exit 3"),
    "signal": (Status.TERMINATED, "signal 9"),
    "stop": (Status.TERMINATED, "stopped"),
    "again": (Status.ERROR, "exit 3"),
}
LOST: Final = (Status.ERROR, "lost: its supervisor was killed")
RAN: Final = """#!/bin/sh
token=$(readlink /proc/$$/fd/1)
token=${{token%/output}}
echo ran >> "{folder}/${{token##*/}}"
{script}
"""


class Point:
    """Runs of a script, one at a time, of which a shim is killed at one change."""

    def __init__(self, folder: Path, script: str, kill_at: int) -> None:
        self.directories = Directories(folder / "home")
        self.ran_folder = folder / "ran"
        self.ran_folder.mkdir(parents=True)
        self._runs = RUNS.get(script, 1)
        self.program = folder / "trial.sh"
        self.program.write_text(RAN.format(folder=self.ran_folder, script=SCRIPTS[script]))
        self.program.chmod(0o755)
        self._report = folder / "report"
        self.launcher = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.faults.kill_forked"]
        self.launcher += [str(self._report), str(kill_at)]
        prepare(self.directories)

    @property
    def calls(self) -> list[str]:
        return self._report.read_text().split()

    def shim(self, run: Run) -> int:
        """The process that was the shim of a run's last attempt."""
        started = read_facts(self.directories.attempt(f"{run.id}-{run.starts}")).started
        assert started is not None
        return started.shim_pid

    def ran(self) -> dict[str, int]:
        return {path.name: path.read_text().count("ran") for path in self.ran_folder.iterdir()}

    async def end(self, add_run: AddRun) -> list[Run]:
        """The runs, when they have ended."""
        broker = Broker()
        store = Store(self.directories, broker.ring)
        try:
            async with LocalBackend(launcher=self.launcher) as backend:
                launcher = Launcher(self.directories, socket="/nowhere", grace=5.0, slots=1, output_limit=0)
                executor = Executor(store, backend, broker, launcher, slots=1, most=10)
                await store.write(lambda transaction: self._queue_all(transaction, add_run))
                with anyio.fail_after(PATIENCE):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(executor.run)
                        while True:
                            bell = broker.bell
                            runs = await store.read(self._found)
                            if all(run.status not in (Status.PENDING, Status.RUNNING) for run in runs):
                                break
                            await bell.wait()
                        tasks.cancel_scope.cancel()
                return runs
        finally:
            with anyio.CancelScope(shield=True):
                await store.close()

    def _queue_all(self, transaction: Transaction, add_run: AddRun) -> None:
        for number in range(1, self._runs + 1):
            self._queue(transaction, add_run(transaction, number))

    def _found(self, reader: Reader) -> list[Run]:
        found = [reader.find(f"{number:08x}" + "0" * 24) for number in range(1, self._runs + 1)]
        return [run for run in found if run is not None]

    def _queue(self, transaction: Transaction, staged: Run) -> None:
        program = str(self.program)
        operation = Operation(
            name="trial", kind=OperationKind.EXECUTABLE, entry=program, project_dir="/", cwd="/", target=program
        )
        setup = replace(
            staged.spec.setup,
            operation=transaction.add_operation(operation_to_json(operation)),
            environment=transaction.add_environment('{"PATH": "/usr/bin:/bin"}'),
        )
        spec = replace(staged.spec, setup=setup)
        transaction.save_run(lifecycle.queue(staged, spec, now=1.0, place=transaction.next_place()))


def wrong(runs: list[Run], ran: dict[str, int], script: str) -> list[str]:
    """What is not as it must be: an end is the true one, or it is lost and was not started again."""
    tokens = {f"{run.id}-{run.starts}" for run in runs}
    found = [f"{token} ran {count} times" for token, count in ran.items() if count != 1 or token not in tokens]
    lost = [run for run in runs if run.reason == LOST[1]]
    if len(lost) > 1:
        found.append(f"{len(lost)} are lost by one kill")
    return found + [fault for run in runs for fault in _wrong(run, f"{run.id}-{run.starts}" in ran, script)]


def _wrong(run: Run, ran: bool, script: str) -> list[str]:
    found = []
    if run.attempts != 1:
        found.append(f"it has {run.attempts} attempts")
    match (run.status, run.reason):
        case end if end == TRUE_ENDS[script]:
            return found if ran else [*found, "its end is told, and it never ran"]
        case end if end == LOST:
            return found
        case end:
            return [*found, f"it is {end}"]


async def sweep(folder: Path, script: str, calls: list[str], add_run: AddRun) -> tuple[list[str], set[str]]:
    """What is wrong, and the kinds of outcomes, of a shim killed at each of ``calls``."""
    faults: list[str] = []
    kinds: set[str] = set()
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def survive(number: int, call: str) -> None:
        async with limiter:
            point = Point(folder / str(number), script, number)
            runs = await point.end(add_run)
        kinds.update("lost" if run.reason not in TRUE_ENDS[script] else f"start {run.starts}" for run in runs)
        found = wrong(runs, point.ran(), script)
        if found:
            faults.append(f"{number} ({call}): {found}")

    async with anyio.create_task_group() as points:
        for number, call in enumerate(calls, 1):
            points.start_soon(survive, number, call)
    return faults, kinds


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.timeout(600)
def test_a_forked_shim_killed_at_any_change_has_a_true_end_or_is_lost_or_starts_anew(
    script: str,
    tmp_path: Path,
    add_run: AddRun,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(shims, "IDLE", PATIENCE)  # however slow the machine is, the next run comes in time
    whole = Point(tmp_path / "whole", script, 0)
    runs = anyio.run(whole.end, add_run)
    assert wrong(runs, whole.ran(), script) == []
    assert {(run.status, run.reason) for run in runs} == {TRUE_ENDS[script]}
    assert len({whole.shim(run) for run in runs}) == 1
    faults, kinds = anyio.run(sweep, tmp_path, script, whole.calls, add_run)
    record_property("points", len(whole.calls))
    record_property("violations", len(faults))
    assert faults == []
    assert kinds == {"lost", "start 1", "start 2"}, "the sweep does not reach what it is to reach"
