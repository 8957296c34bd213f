"""The executor of a real store, on a backend that is a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.executor.backend import State, Submission
from rund.executor.executor import Executor
from rund.executor.launch import Launcher
from rund.model.operation import Operation, OperationKind
from rund.model.run import Run
from rund.model.status import Status
from rund.operations.stored import operation_to_json
from rund.store.directories import Directories
from rund.store.store import Store
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio

PATIENCE = 60.0


class RefusingBackend:
    """Refuses the first attempt that it is given, and takes the others."""

    def __init__(self) -> None:
        self.submitted: list[Submission] = []
        self.took_one = anyio.Event()

    async def submit(self, attempts: Sequence[Submission]) -> dict[str, str]:
        refused = {} if self.submitted else {attempt.token: "no room" for attempt in attempts}
        self.submitted += attempts
        if not refused:
            self.took_one.set()
        return refused

    async def find(self, attempts: Mapping[str, Path]) -> set[str]:
        return set(attempts)

    async def snapshot(self) -> dict[str, State]:
        return {}

    async def cancel(self, tokens: Collection[str]) -> None:
        raise AssertionError(f"nobody stops {tokens}")

    async def ended(self) -> list[str]:
        await anyio.sleep_forever()
        raise AssertionError


@asynccontextmanager
async def open_store(directories: Directories, broker: Broker) -> AsyncIterator[Store]:
    store = Store(directories, broker.ring)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


def pending(transaction: Transaction, staged: Run) -> None:
    """Queue a run of a program."""
    operation = Operation(
        name="true", kind=OperationKind.EXECUTABLE, entry="/bin/true", project_dir="/", cwd="/", target="/bin/true"
    )
    setup = replace(staged.spec.setup, operation=transaction.add_operation(operation_to_json(operation)))
    transaction.save_run(
        lifecycle.queue(staged, replace(staged.spec, setup=setup), now=1.0, place=transaction.next_place())
    )


async def test_an_attempt_that_never_ran_leaves_nothing_and_its_run_waits_and_starts_again(
    directories: Directories, add_run: AddRun
) -> None:
    broker, backend = Broker(), RefusingBackend()
    async with open_store(directories, broker) as store:
        launcher = Launcher(directories, socket="/nowhere", grace=1.0, slots=1, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=1, most=10)
        await store.write(lambda transaction: pending(transaction, add_run(transaction, 1)))
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(executor.run)
                await backend.took_one.wait()
                refused, taken = backend.submitted
                assert taken.directory.is_dir()
                bell = broker.bell
                while refused.directory.exists():
                    await bell.wait()
                    bell = broker.bell
                tasks.cancel_scope.cancel()
        run = await store.read(lambda reader: reader.find(taken.token.partition("-")[0]))
        assert run is not None
        assert (run.status, run.attempts, run.starts) == (Status.RUNNING, 1, 2)
        assert await store.read(lambda reader: reader.garbage(10)) == []
