"""The executor of a real store, on a backend that is a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.engine.recover import Finding, Lost
from rund.errors import InternalError
from rund.executor.backend import State, Submission
from rund.executor.executor import Executor
from rund.executor.launch import Launcher
from rund.executor.starting import STARTS
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
T = TypeVar("T")


class RefusingBackend:
    """Refuses the first attempt that it is given, and takes the others."""

    def __init__(self) -> None:
        self.submitted: list[Submission] = []
        self.took_one = anyio.Event()

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        prepare()
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


class FullBackend(RefusingBackend):
    """Refuses all that it is given, so many times, and notes the loop's time of each."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self._refusals = refusals
        self.times: list[float] = []

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        prepare()
        self.times.append(anyio.current_time())
        if len(self.times) > self._refusals:
            self.took_one.set()
            return {}
        return {attempt.token: "no room" for attempt in attempts}


class EndingBackend(RefusingBackend):
    """Takes all attempts; the first so many end together, and those that come after them run on."""

    def __init__(self, ending: int = 1) -> None:
        super().__init__()
        self._ending = ending
        self._all_came = anyio.Event()
        self.some_came = anyio.Event()

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        prepare()
        self.submitted += attempts
        if len(self.submitted) >= self._ending:
            self._all_came.set()
        self.some_came.set()
        return {}

    async def ended(self) -> dict[str, Finding]:  # type: ignore[override]
        await self._all_came.wait()
        self._all_came = anyio.Event()
        ending, self._ending = self._ending, len(self.submitted) + 1_000_000
        return {attempt.token: Lost(reason="lost") for attempt in self.submitted[:ending]}

    async def until(self, count: int) -> None:
        """Wait until so many have been submitted."""
        while len(self.submitted) < count:
            await self.some_came.wait()
            self.some_came = anyio.Event()


class HangingBackend(RefusingBackend):
    """Takes what it is given first, the attempts of which end one by one, and never finishes with what comes then."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = anyio.Event()

    async def submit(
        self, attempts: Sequence[Submission], prepare: Callable[[], Collection[str]] = tuple
    ) -> dict[str, str]:
        if self.submitted:
            self.hangs.set()
            await anyio.sleep_forever()
        self.submitted += attempts
        self.took_one.set()
        return {}

    async def ended(self) -> dict[str, Finding]:  # type: ignore[override]
        await self.took_one.wait()
        self.took_one = anyio.Event()
        first, *others = self.submitted
        if others:
            self.submitted = others
            self.took_one.set()
        return {first.token: Lost(reason="lost")}


class FailingOnceStore(Store):
    """A store the disk of which fails at the first end."""

    failed = False

    async def write(self, change: Callable[[Transaction], T], *, urgent: bool = False) -> T:
        if urgent and not self.failed:
            self.failed = True
            raise InternalError("the disk failed while this was written: nothing was changed; try again")
        return await super().write(change, urgent=urgent)


class BusyStore(Store):
    """A store whose thread that writes is busy with another change when the first start is to be recorded."""

    def __init__(self, directories: Directories, committed: Callable[[], None]) -> None:
        super().__init__(directories, committed)
        self.waits, self.goes_on, self.is_busy = anyio.Event(), anyio.Event(), False

    async def write(self, change: Callable[[Transaction], T], *, urgent: bool = False) -> T:
        if self.is_busy:
            self.waits.set()
            await self.goes_on.wait()
        return await super().write(change, urgent=urgent)


@asynccontextmanager
async def open_store(directories: Directories, broker: Broker, kind: type[Store] = Store) -> AsyncIterator[Store]:
    store = kind(directories, broker.ring)
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
                while await store.read(lambda reader: reader.garbage(10)) or refused.directory.exists():
                    await bell.wait()
                    bell = broker.bell
                tasks.cancel_scope.cancel()
        run = await store.read(lambda reader: reader.find(taken.token.partition("-")[0]))
        assert run is not None
        assert (run.status, run.attempts, run.starts) == (Status.RUNNING, 1, 2)
        assert await store.read(lambda reader: reader.garbage(10)) == []


async def test_starts_that_find_no_room_again_and_again_are_tried_less_often(
    directories: Directories, add_run: AddRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rund.executor.executor.RETRY", 0.05)
    monkeypatch.setattr("rund.executor.executor._LONGEST_PAUSE", 0.4)
    broker = Broker()
    async with open_store(directories, broker) as store:
        for number in range(2):  # refused together, they count once
            await store.write(lambda transaction, number=number: pending(transaction, add_run(transaction, number)))
        backend = FullBackend(refusals=6)
        launcher = Launcher(directories, socket="", grace=1.0, slots=2, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=2, most=1000)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(executor.run)
                await backend.took_one.wait()
                tasks.cancel_scope.cancel()
        pauses = [later - earlier for earlier, later in zip(backend.times, backend.times[1:], strict=False)]
        assert all(pause >= least for pause, least in zip(pauses, [0.05, 0.1, 0.2, 0.4, 0.4, 0.4], strict=True)), pauses


async def test_what_waits_starts_also_when_the_end_that_made_room_was_written_at_the_second_attempt(
    directories: Directories, add_run: AddRun
) -> None:
    broker, backend = Broker(), EndingBackend()
    async with open_store(directories, broker, FailingOnceStore) as store:
        launcher = Launcher(directories, socket="/nowhere", grace=1.0, slots=1, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=1, most=10)
        await store.write(lambda transaction: queue_all(transaction, add_run, 2))
        await run_until_submitted(executor, backend, 2)
        assert isinstance(store, FailingOnceStore)
        assert store.failed


async def test_more_ends_at_once_than_starts_in_one_transaction_leave_no_slot_empty(
    directories: Directories, add_run: AddRun
) -> None:
    slots = STARTS + 10
    broker, backend = Broker(), EndingBackend(slots)
    async with open_store(directories, broker) as store:
        launcher = Launcher(directories, socket="/nowhere", grace=1.0, slots=slots, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=slots, most=2 * slots)
        await store.write(lambda transaction: queue_all(transaction, add_run, 2 * slots))
        await run_until_submitted(executor, backend, 2 * slots)


async def test_starts_that_wait_for_a_long_change_are_no_turn_that_hangs(
    directories: Directories, add_run: AddRun
) -> None:
    broker, backend = Broker(), EndingBackend(2)
    async with open_store(directories, broker, BusyStore) as store:
        assert isinstance(store, BusyStore)
        launcher = Launcher(directories, socket="/nowhere", grace=1.0, slots=1, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=1, most=10)
        await store.write(lambda transaction: queue_all(transaction, add_run, 1))
        store.is_busy = True
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(executor.run)
                await store.waits.wait()
                assert executor.turn() == 0.0
                store.goes_on.set()
                await backend.until(1)
                tasks.cancel_scope.cancel()


async def test_a_start_that_hangs_holds_up_no_end(directories: Directories, add_run: AddRun) -> None:
    broker, backend = Broker(), HangingBackend()
    async with open_store(directories, broker) as store:
        launcher = Launcher(directories, socket="/nowhere", grace=1.0, slots=3, output_limit=0)
        executor = Executor(store, backend, broker, launcher, slots=3, most=10)
        await store.write(lambda transaction: queue_all(transaction, add_run, 6))
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(executor.run)
                await backend.hangs.wait()
                bell = broker.bell
                while (await store.read(lambda reader: reader.counts()))[Status.ERROR] < 3:
                    await bell.wait()
                    bell = broker.bell
                tasks.cancel_scope.cancel()


def queue_all(transaction: Transaction, add_run: AddRun, count: int) -> None:
    for number in range(count):
        pending(transaction, add_run(transaction, number))


async def run_until_submitted(executor: Executor, backend: EndingBackend, count: int) -> None:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            await backend.until(count)
            tasks.cancel_scope.cancel()
