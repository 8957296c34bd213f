"""Changes of the store: whole or not at all, in one order, in groups that do not spoil each other."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rund.broker import Broker
from rund.errors import BusyError, FullError, InternalError
from rund.model.event import EventKind
from rund.model.run import Run
from rund.store.committing import Asked, Committer
from rund.store.directories import Directories
from rund.store.files import StoreFiles
from rund.store.listing import RunFilter
from rund.store.reader import Reader
from rund.store.reserve import Reserve
from rund.store.store import CannotReadError, Store
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio


def rung(bell: anyio.Event) -> bool:
    return bell.is_set()


async def test_a_change_that_raises_changes_nothing_and_spoils_no_other(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)
    outcomes: dict[int, str] = {}

    async def change(number: int) -> None:
        def write(transaction: Transaction) -> None:
            add_run(transaction, number)
            transaction.add_event(EventKind.CREATED, 1.0, [str(number)])
            if number % 3 == 0:
                raise BusyError(str(number))

        try:
            await store.write(write)
            outcomes[number] = "done"
        except BusyError as error:
            outcomes[number] = error.message

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(change, number)
    kept = [number for number in range(40) if number % 3]
    assert outcomes == {number: "done" if number % 3 else str(number) for number in range(40)}
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=100, after=None))
    assert {int(run.id[:8], 16) for run in page.runs} == set(kept)
    events = await store.read(lambda reader: reader.events(0, 100))
    assert [event.number for event in events] == list(range(1, len(kept) + 1)), "no number is lost or given twice"
    await store.close()


async def test_a_change_that_raises_changes_nothing_also_when_it_is_alone(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)

    def fail(transaction: Transaction) -> None:
        add_run(transaction, 1)
        raise ValueError("after it has changed something")

    with pytest.raises(ValueError, match="after it has changed something"):
        await store.write(fail)
    fault = store.fault
    await store.write(lambda transaction: add_run(transaction, 2))
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=100, after=None))
    await store.close()
    assert fault is None
    assert [int(run.id[:8], 16) for run in page.runs] == [2]


@pytest.mark.parametrize("urgent", [False, True])
async def test_many_statements_of_one_change_are_written_into_no_other_file_than_the_log(
    directories: Directories, add_run: AddRun, *, urgent: bool
) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> list[Run]:
        return [add_run(transaction, number, text="x" * 2_000) for number in range(200)]

    def change(transaction: Transaction) -> list[str]:
        for run in runs:  # each by a statement of its own, which alone changes little
            transaction.change_run(run, replace(run, label="another"))
        return _copies()

    runs = await store.write(add)
    copies = await store.write(change, urgent=urgent)
    await store.close()
    assert copies == [], "SQLite keeps no copy of what was there before"


@pytest.mark.parametrize("urgent", [False, True])
async def test_a_statement_that_changes_much_keeps_what_was_there_in_memory_or_in_a_file(
    directories: Directories, add_run: AddRun, *, urgent: bool
) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number in range(200):
            add_run(transaction, number, text="x" * 2_000)

    def change(transaction: Transaction) -> list[str]:
        transaction.connection.execute("UPDATE runs SET status = 'error', attempts = 1, starts = 1")
        return _copies()

    await store.write(add)
    copies = await store.write(change, urgent=urgent)
    options = await store.read(lambda reader: {row[0] for row in reader.connection.execute("PRAGMA compile_options")})
    await store.close()
    if options & {"TEMP_STORE=2", "TEMP_STORE=3"}:
        pytest.skip("this SQLite keeps all such copies in memory")
    assert len(copies) == urgent


def _copies() -> list[str]:
    """The files that SQLite has opened for what was there before."""
    return [name for name in map(_target, Path("/proc/self/fd").iterdir()) if "etilqs" in name]


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # the one that the folder was read with, or another thread's
        return ""


async def test_a_group_is_answered_a_few_at_each_turn_of_the_loop(directories: Directories) -> None:
    store = Store(directories, Broker().ring)
    held, holds = threading.Event(), anyio.Event()
    loop = asyncio.get_running_loop()
    turn = 0
    answered: list[int] = []

    def hold(_: Transaction) -> None:
        loop.call_soon_threadsafe(holds.set)
        held.wait()

    def count() -> None:
        nonlocal turn
        turn += 1
        if len(answered) < 40:
            loop.call_soon(count)

    async def change() -> None:
        await store.write(lambda _: None)
        answered.append(turn)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.write, hold)
        await holds.wait()
        for _ in range(40):
            tasks.start_soon(change)
        await anyio.wait_all_tasks_blocked()
        count()
        held.set()  # the forty wait: they are one group
    assert max(answered.count(each) for each in answered) <= 8
    await store.close()


async def test_groups_are_answered_in_their_order(directories: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rund.store.writer.GROUP", 20)
    store = Store(directories, Broker().ring)
    held, holds, all_done = threading.Event(), anyio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    answered: list[int] = []

    def hold(_: Transaction) -> None:
        loop.call_soon_threadsafe(holds.set)
        held.wait()

    async def change(number: int) -> None:
        await store.write(lambda _: all_done.set() if number == 40 else None)
        answered.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.write, hold)
        await holds.wait()
        for number in range(41):
            tasks.start_soon(change, number)
        await anyio.wait_all_tasks_blocked()
        held.set()  # they are two groups, and one that follows
        assert all_done.wait(60), "the loop stands still, and hears of both groups at once"
    await store.close()
    assert answered == sorted(answered)


async def test_what_the_disk_has_no_room_for_is_full_and_the_rest_of_its_group_stands(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)

    def too_much(transaction: Transaction) -> None:
        add_run(transaction, 1)
        # The limit is the connection's own: a real SQLITE_FULL, in the middle of a change.
        pages = transaction._connection.execute("PRAGMA page_count").fetchone()[0]
        transaction._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        try:
            add_run(transaction, 2, text="x" * 1_000_000)
        finally:
            transaction._connection.execute("PRAGMA max_page_count = 1000000000")

    async def small(number: int) -> None:
        await store.write(lambda transaction: add_run(transaction, number))

    async def full() -> None:
        with pytest.raises(FullError, match="nothing was changed"):
            await store.write(too_much)

    async with anyio.create_task_group() as tasks:
        for number in range(10, 15):
            tasks.start_soon(small, number)
        tasks.start_soon(full)
        for number in range(15, 20):
            tasks.start_soon(small, number)
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=100, after=None))
    assert {int(run.id[:8], 16) for run in page.runs} == set(range(10, 20))
    await store.close()


async def test_a_change_is_not_abandoned_when_its_caller_is_cancelled(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.write(lambda transaction: add_run(transaction, 1))
    assert scope.cancelled_caught
    await store.close()
    again = Store(directories, Broker().ring)
    assert await again.read(lambda reader: reader.resolve("00000001")) is not None
    await again.close()


async def test_the_bell_rings_after_a_change_and_not_after_a_look(directories: Directories, add_run: AddRun) -> None:
    broker = Broker()
    store = Store(directories, broker.ring)
    bell = broker.bell
    await store.write(lambda transaction: transaction.paused())
    assert not rung(bell)
    await store.write(lambda transaction: add_run(transaction, 1))
    assert rung(bell)
    await store.close()


async def test_the_end_of_a_fault_is_told_also_when_nothing_has_changed(directories: Directories) -> None:
    files = StoreFiles(directories)
    committer = Committer(directories, Reserve(directories.reserve), files)
    nothing = Asked(lambda _: None, asyncio.get_running_loop().create_future(), urgent=False)
    try:
        assert not committer.carry_out([nothing])
        committer._faults.note("the disk was full a moment ago")
        assert committer.carry_out([nothing]), "who waits for room is woken"
        assert committer.fault is None
        assert not committer.carry_out([nothing])
    finally:
        committer.close()
        files.close()


class Large:
    """Something that a change refers to."""

    def change(self, _: Transaction) -> None:
        """Change nothing."""


async def test_what_a_change_refers_to_is_let_go_though_no_other_change_follows(directories: Directories) -> None:
    store = Store(directories, Broker().ring)
    large = Large()
    gone = weakref.ref(large)
    await store.write(large.change)
    del large
    with anyio.fail_after(60):
        while gone() is not None:  # noqa: ASYNC110 - the thread tells nobody that it waits for the next change
            await anyio.sleep(0.01)
    await store.close()


async def test_the_writer_goes_on_with_a_new_connection_when_even_the_roll_back_fails(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)

    def break_it(transaction: Transaction) -> None:
        add_run(transaction, 1)
        transaction.connection.close()
        transaction.connection.execute("SELECT 1")

    await store.read(Reader.paused)  # another connection is there, as in each daemon that serves
    with pytest.raises(InternalError, match="could not be written"):
        await store.write(break_it)
    await store.write(lambda transaction: add_run(transaction, 2))
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=9, after=None))
    assert [int(run.id[:8], 16) for run in page.runs] == [2]
    await store.close()


async def test_a_disk_that_fails_while_it_is_read_is_told_by_its_own_words(directories: Directories) -> None:
    store = Store(directories, Broker().ring)

    def fail(reader: Reader) -> None:
        reader.connection.execute("ROLLBACK")  # as SQLite does itself then
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(CannotReadError, match="disk I/O error"):
        await store.read(fail)
    assert not await store.read(Reader.paused)
    await store.close()


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_transaction_that_a_fault_has_ended_is_told_by_what_it_means(
    directories: Directories, add_run: AddRun, *, wrapped: bool
) -> None:
    store = Store(directories, Broker().ring)

    def fail(transaction: Transaction) -> None:
        add_run(transaction, 1)
        transaction.connection.execute("ROLLBACK")  # as SQLite does itself then
        if wrapped:
            raise BusyError("kept to itself")

    with pytest.raises(InternalError, match=r"could not be written \(the disk failed while it was written\)"):
        await store.write(fail)
    await store.write(lambda transaction: add_run(transaction, 2))
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=9, after=None))
    assert [int(run.id[:8], 16) for run in page.runs] == [2]
    await store.close()
