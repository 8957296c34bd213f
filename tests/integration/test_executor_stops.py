"""A stop waits for nothing that is still to be written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

import anyio
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.engine.recover import Finding, NeverRan
from rund.executor import executor as executing
from rund.executor.backend import State, Submission
from rund.executor.executor import Executor
from rund.executor.launch import Launcher
from rund.model.operation import Operation, OperationKind
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status
from rund.operations.stored import operation_to_json
from rund.store.directories import Directories
from rund.store.store import Store
from rund.store.transaction import Transaction


class SlowBackend:
    """Starts the first of what it is given; while it does, that is stopped, and a long change begins to be written."""

    def __init__(self, store: Store, tasks: anyio.abc.TaskGroup) -> None:
        self._store = store
        self._tasks = tasks
        self._alive: set[str] = set()
        self.written = threading.Event()
        self.cancelled = anyio.Event()

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        prepare()
        first, *others = [attempt.token for attempt in attempts]
        await self._store.write(lambda transaction: _stop(transaction, first.partition("-")[0]))
        self._tasks.start_soon(self._store.write, lambda _: self.written.wait(60))
        self._alive.add(first)
        return dict.fromkeys(others, "no room just now")

    async def find(self, attempts: Mapping[str, Path]) -> set[str]:
        return set()

    async def snapshot(self) -> dict[str, State]:
        return dict.fromkeys(self._alive, State.ALIVE)

    async def cancel(self, tokens: Collection[str]) -> None:
        if self._alive & set(tokens):
            self.cancelled.set()

    async def ended(self) -> dict[str, Finding]:
        await anyio.sleep_forever()
        return {}


class Stopped:
    """Never runs the first that it is given, which is stopped before; tells when it is given another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._given: list[str] = []
        self._cancelled = anyio.Event()
        self._told = False
        self.given_another = anyio.Event()

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        prepare()
        self._given += [attempt.token for attempt in attempts]
        if len(self._given) == 1:
            await self._store.write(lambda transaction: _stop(transaction, self._given[0].partition("-")[0]))
        else:
            self.given_another.set()
        return {}

    async def find(self, attempts: Mapping[str, Path]) -> set[str]:
        return set()

    async def snapshot(self) -> dict[str, State]:
        return dict.fromkeys(self._given, State.ALIVE)

    async def cancel(self, tokens: Collection[str]) -> None:
        assert set(tokens) == {self._given[0]}
        self._cancelled.set()

    async def ended(self) -> dict[str, Finding]:
        await self._cancelled.wait()
        if self._told:
            await anyio.sleep_forever()
        self._told = True
        return {self._given[0]: NeverRan()}


def _stop(transaction: Transaction, run_id: str) -> None:
    transaction.save_run(lifecycle.stop(cast(Run, transaction.find(run_id))))


def _add_pending(transaction: Transaction) -> None:
    operation = Operation(
        name="t", kind=OperationKind.EXECUTABLE, entry="/bin/true", project_dir="/", cwd="/", target="/bin/true"
    )
    setup = Setup(
        operation=transaction.add_operation(operation_to_json(operation)),
        source=None,
        environment=transaction.add_environment("{}"),
        random_seed=1,
    )
    for number in range(2):
        run = Run(
            id=f"{number:032x}", operation="t", spec=Spec(setup=setup, flags={}), status=Status.STAGED, created=1.0
        )
        transaction.add_run(lifecycle.queue(run, run.spec, now=1.0, place=transaction.next_place()))


@pytest.mark.anyio
async def test_a_stop_is_carried_through_while_a_long_change_is_written(directories: Directories) -> None:
    # No bell is heard after the start: that of the stop rang before what is to be stopped was handed over.
    store = Store(directories, lambda: None)
    try:
        async with anyio.create_task_group() as tasks:
            backend = SlowBackend(store, tasks)
            await store.write(_add_pending)
            launcher = Launcher(directories, socket="s", grace=1.0, output_limit=0, slots=2)
            executor = Executor(store, backend, Broker(), launcher, slots=2, most=10)
            tasks.start_soon(executor.run)
            try:
                with anyio.fail_after(60):
                    await backend.cancelled.wait()
                assert not backend.written.is_set()
            finally:
                backend.written.set()
                tasks.cancel_scope.cancel()
    finally:
        await store.close()


@pytest.mark.anyio
async def test_what_was_stopped_before_it_ran_holds_up_no_start(
    directories: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executing, "RETRY", 1_000_000.0)  # whoever waits that long waits for ever
    broker = Broker()
    store = Store(directories, broker.ring)
    try:
        async with anyio.create_task_group() as tasks:
            backend = Stopped(store)
            await store.write(_add_pending)
            launcher = Launcher(directories, socket="s", grace=1.0, output_limit=0, slots=1)
            executor = Executor(store, backend, broker, launcher, slots=1, most=10)
            tasks.start_soon(executor.run)
            with anyio.fail_after(60):
                await backend.given_another.wait()
            tasks.cancel_scope.cancel()
    finally:
        await store.close()
