"""The store: whole changes or none, one order, groups that do not spoil each other, pages that lose nothing."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.errors import AmbiguousError, BusyError, FullError, InternalError, NotFoundError, UnsupportedError
from rund.model.event import EventKind
from rund.model.run import Run
from rund.model.status import Status
from rund.store.cleaning import clean_up, note_leftovers, remove_garbage
from rund.store.committing import Asked, Committer
from rund.store.directories import Directories, run_folder
from rund.store.files import StoreFiles
from rund.store.listing import RunFilter
from rund.store.migrate import migrations
from rund.store.reader import Reader
from rund.store.reserve import Reserve
from rund.store.store import READERS, CannotReadError, Store, prepare
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


async def test_the_runs_of_a_page_go_on_where_the_last_ended(directories: Directories, add_run: AddRun) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number in range(25):
            add_run(transaction, number, created=float(number // 5))  # many of the same time

    await store.write(add)
    seen: list[str] = []
    after = None
    while True:
        page = await store.read(lambda reader, after=after: reader.list_runs(RunFilter(), limit=7, after=after))
        assert page.total == 25
        seen += [run.id for run in page.runs]
        if page.next is None:
            break
        after = page.next
    assert len(seen) == len(set(seen)) == 25
    assert [int(run_id[:8], 16) for run_id in seen] == list(range(24, -1, -1))
    await store.close()


async def test_filters_and_their_totals(directories: Directories, add_run: AddRun) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number in range(6):
            run = add_run(transaction, number, operation="a" if number % 2 else "b")
            if number == 3:
                transaction.save_run(replace(run, label="best"))
                transaction.set_tags(run.id, ["x", "y"])
            if number == 4:
                transaction.save_run(lifecycle.queue(run, run.spec, now=9.0, place=1))
            if number == 5:
                transaction.save_run(replace(run, deleted=5.0))

    await store.write(add)

    async def found(wanted: RunFilter) -> tuple[list[int], int]:
        page = await store.read(lambda reader: reader.list_runs(wanted, limit=10, after=None))
        return sorted(int(run.id[:8], 16) for run in page.runs), page.total

    assert await found(RunFilter()) == ([0, 1, 2, 3, 4], 5)
    assert await found(RunFilter(operation="a")) == ([1, 3], 2)
    assert await found(RunFilter(label="best")) == ([3], 1)
    assert await found(RunFilter(tag="y")) == ([3], 1)
    assert await found(RunFilter(status=(Status.PENDING,))) == ([4], 1)
    assert await found(RunFilter(trash=True)) == ([5], 1)
    await store.close()


async def test_ids_are_found_by_prefix_and_by_place(directories: Directories, add_run: AddRun) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number in (0xABCD0001, 0xABCD0002, 0x12340000):
            add_run(transaction, number, created=float(number))

    await store.write(add)

    def check(reader: Reader) -> None:
        assert reader.resolve("1234").id.startswith("12340000")
        assert reader.resolve("ABCD0002").id.startswith("abcd0002")
        assert reader.resolve("@1").id.startswith("abcd0002")
        assert reader.resolve("@3").id.startswith("12340000")
        with pytest.raises(AmbiguousError, match=r"abcd0001 .*abcd0002"):
            reader.resolve("abcd")
        for name, message in (
            ("123", "too short"),
            ("ffff", "no run"),
            ("@4", "there are 3"),
            ("@x", "@1"),
            ("zzzz", "hex"),
        ):
            with pytest.raises(NotFoundError, match=message):
                reader.resolve(name)

    await store.read(check)
    await store.close()


async def test_equal_flags_are_found_by_value_and_type(directories: Directories, add_run: AddRun) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number, x in enumerate((1, 1.0, True, "1", math.nan, -0.0), 1):
            run = add_run(transaction, number, x=x)
            run = lifecycle.queue(run, run.spec, now=1.0, place=1)
            run, attempt = lifecycle.start(run, now=2.0, host="h", user="u", boot_id="b")
            end = lifecycle.End(status=Status.COMPLETED, reason=None, exit_status=0, stopped=3.0)
            run, _ = lifecycle.end(run, attempt, end, now=3.0, place=2)
            transaction.save_run(run)

    await store.write(add)

    def number(reader: Reader, x: object) -> int | None:
        found = reader.completed_equal("echo.py", None, {"x": x})
        return None if found is None else int(found.id[:8], 16)

    for x, wanted in ((1, 1), (1.0, 2), (True, 3), ("1", 4), (math.nan, 5), (-0.0, 6), (0.0, None), (0, None)):
        assert await store.read(lambda reader, x=x: number(reader, x)) == wanted
    await store.close()


async def test_what_nothing_needs_is_removed_and_what_is_needed_is_not(
    directories: Directories, add_run: AddRun
) -> None:
    store = Store(directories, Broker().ring)
    for digest in ("1" * 32, "2" * 32, "3" * 32):
        directories.source(digest).mkdir()

    def add(transaction: Transaction) -> None:
        for number, source in ((1, "1" * 32), (2, "2" * 32)):
            run = add_run(transaction, number)
            setup = replace(run.spec.setup, source=source, environment=transaction.add_environment(f"{{{source}}}"))
            transaction.save_run(replace(run, spec=replace(run.spec, setup=setup)))
            directories.run(run.id).mkdir(parents=True)

    await store.write(add)
    first = f"{1:08x}" + "0" * 24

    def purge(transaction: Transaction) -> None:
        transaction.purge_runs([first])
        transaction.add_garbage([run_folder(first), directories.garbage_of_attempt("not-there")])

    await store.write(purge)
    await remove_garbage(store)
    assert not directories.run(first).exists()
    assert not directories.source("1" * 32).exists()
    assert directories.source("2" * 32).is_dir()
    assert directories.source("3" * 32).is_dir(), "perhaps somebody is about to need it"
    assert not list((directories.home / "removed").iterdir())
    count = await store.read(
        lambda reader: reader.connection.execute("SELECT count(*) FROM environments").fetchone()[0]
    )
    assert count == 2, "an environment goes with the last run that needs it"
    await clean_up(store, await note_leftovers(store))
    assert not directories.source("3" * 32).exists(), "nobody is, when a daemon starts"
    assert directories.source("2" * 32).is_dir()
    await store.close()


async def test_a_folder_that_a_run_has_closed_to_its_owner_is_removed_too(directories: Directories) -> None:
    folder = directories.run("0" * 32)
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    (folder / "link").symlink_to("/etc")
    (folder / "deep").chmod(0o500)
    folder.chmod(0o500)
    assert directories.take_away([str(folder.relative_to(directories.home))]) == {}
    assert directories.remove_taken(lambda: False) == []
    assert not list((directories.home / "removed").iterdir())


def test_a_folder_is_emptied_at_once_and_its_content_removed_with_what_was_taken_away(directories: Directories) -> None:
    run = directories.run(f"{1:032x}")
    (run / "deep").mkdir(parents=True)
    (run / "deep" / "large").touch()
    directories.empty(run.name)
    assert not run.exists()
    (taken,) = (directories.home / "removed").iterdir()
    assert (taken / "deep" / "large").exists()
    assert directories.remove_taken(lambda: False) == []
    assert not taken.exists()


def test_a_folder_is_emptied_while_all_that_was_taken_away_is_removed(directories: Directories) -> None:
    run_id, emptied = f"{1:032x}", threading.Event()

    def remove() -> None:
        while not emptied.is_set():
            directories.remove_taken(lambda: False)

    with ThreadPoolExecutor(2) as threads:
        removing = [threads.submit(remove) for _ in range(2)]
        try:
            for _ in range(300):
                directories.run(run_id).mkdir(parents=True)
                directories.empty(run_id)
                assert not directories.run(run_id).exists()
        finally:
            emptied.set()
        for each in removing:
            each.result()


async def test_a_removal_is_given_up_when_the_daemon_ends(
    directories: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(directories, Broker().ring)
    begun, ended = threading.Event(), threading.Event()

    def remove_taken(_: Directories, is_given_up: Callable[[], bool]) -> list[str]:
        begun.set()
        while not is_given_up():
            ended.wait(0.01)
        ended.set()
        return []

    monkeypatch.setattr(Directories, "remove_taken", remove_taken)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(remove_garbage, store)
        assert await anyio.to_thread.run_sync(begun.wait, 60)
        tasks.cancel_scope.cancel()
    assert ended.wait(60)
    await store.close()


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


async def test_readers_are_as_many_as_are_needed_at_once_and_no_more(directories: Directories) -> None:
    store = Store(directories, Broker().ring)
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(store.read, Reader.paused)
    assert sum(thread.name == "rund-reader" for thread in threading.enumerate()) <= READERS
    await store.close()
    assert not any(thread.name == "rund-reader" for thread in threading.enumerate())


async def test_a_damaged_row_is_named_and_the_rest_is_served(directories: Directories, add_run: AddRun) -> None:
    store = Store(directories, Broker().ring)

    def add(transaction: Transaction) -> None:
        for number in (1, 2):
            add_run(transaction, number)
        transaction.connection.execute("UPDATE runs SET flags = '{bad}' WHERE id LIKE '00000001%'")

    await store.write(add)
    page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=9, after=None))
    assert {int(run.id[:8], 16): run.damage for run in page.runs} == {1: "its flags cannot be read", 2: None}
    await store.close()


async def test_events_that_are_old_are_forgotten_a_bounded_number_at_once(directories: Directories) -> None:
    store = Store(directories, Broker().ring)
    week = 7 * 86_400.0

    def add(transaction: Transaction) -> None:
        for number in range(2000):
            transaction.add_event(EventKind.PAUSED, float(number % 2))
        assert (transaction.first_event(), transaction.last_event()) == (1, 2000), "none is old yet"
        for _ in range(600):
            transaction.add_event(EventKind.RESUMED, week + 5)

    await store.write(add)
    first, last = await store.read(lambda reader: (reader.first_event(), reader.last_event()))
    assert last == 2600
    assert 1 < first <= 2001, "some are forgotten, and not all at once"
    for _ in range(9):
        await store.write(lambda transaction: transaction.forget_old_events(week + 5))
    kept = await store.read(lambda reader: reader.events(0, 5000))
    assert [event.number for event in kept] == list(range(2001, 2601))
    await store.close()


def test_a_later_store_and_a_strange_file_are_refused_and_left_as_they_are(directories: Directories) -> None:
    connection = sqlite3.connect(directories.database)
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    with pytest.raises(UnsupportedError, match="later version"):
        prepare(directories)
    directories.database.write_bytes(b"not a database" * 100)
    with pytest.raises(UnsupportedError, match="left as it is"):
        prepare(directories)
    assert directories.database.read_bytes() == b"not a database" * 100
    directories.database.unlink()
    connection = sqlite3.connect(directories.database)
    connection.execute("CREATE TABLE strange (x)")
    connection.close()
    with pytest.raises(UnsupportedError, match="not a database of rund"):
        prepare(directories)


def test_an_illegal_row_cannot_be_stored(directories: Directories, add_run: AddRun) -> None:
    connection = sqlite3.connect(directories.database, isolation_level=None)
    transaction = Transaction(connection)
    run = add_run(transaction, 1)
    for change in (
        {"status": Status.PENDING},
        {"status": Status.RUNNING},
        {"status": Status.COMPLETED, "attempts": 1, "starts": 1},
        {"stopping": True},
        {"next_spec": run.spec},
        {"attempts": 1},
    ):
        with pytest.raises(sqlite3.IntegrityError):
            transaction.save_run(replace(run, **change))
    connection.close()


def test_a_content_that_is_missing_is_a_fault_of_the_store(directories: Directories) -> None:
    connection = sqlite3.connect(directories.database)
    with pytest.raises(InternalError, match="lost"):
        Reader(connection).operation("0" * 32)
    connection.close()


async def test_a_new_daemon_queues_behind_what_may_have_to_wait_again(
    directories: Directories, add_run: AddRun
) -> None:
    def start_second(transaction: Transaction) -> int:
        for number in (1, 2):
            run = add_run(transaction, number)
            transaction.save_run(lifecycle.queue(run, run.spec, now=1.0, place=transaction.next_place()))
        place = 0
        for number in (1, 2):
            queued = transaction.find(f"{number:08x}" + "0" * 24)
            assert queued is not None
            started, attempt = lifecycle.start(queued, now=2.0, host="h", user="u", boot_id="b")
            transaction.save_run(started)
            transaction.save_attempt(started.id, attempt)
            place = max(place, attempt.place)
        return place

    first = Store(directories, Broker().ring)
    place = await first.write(start_second)
    await first.close()
    second = Store(directories, Broker().ring)
    assert await second.write(lambda transaction: transaction.next_place()) > place
    await second.close()


async def test_a_read_that_fails_anywhere_holds_up_no_copying_of_the_log(
    directories: Directories, add_run: AddRun
) -> None:
    """What it had open is closed, also while somebody keeps its error."""
    store = Store(directories, Broker().ring)
    for number in range(20):
        await store.write(lambda transaction, number=number: add_run(transaction, number))
    await store.write(
        lambda transaction: transaction.connection.execute(
            "UPDATE runs SET status = 'completed', attempts = 1, "
            "starts = 1, exit_status = 0, queued = NULL, place = NULL WHERE key % 2"
        )
    )
    kept: list[CannotReadError] = []
    copier = sqlite3.connect(directories.database, isolation_level=None)
    copier.execute("PRAGMA busy_timeout = 5000")
    both = RunFilter(status=(Status.STAGED, Status.PENDING, Status.COMPLETED))

    def failing(steps: int) -> Callable[[Reader], int]:
        def query(reader: Reader) -> int:
            left = iter(range(steps))
            reader.connection.set_progress_handler(lambda: next(left, None) is None, 1)
            try:
                return len(reader.list_runs(both, limit=5, after=None).runs)
            finally:
                reader.connection.set_progress_handler(None, 0)

        return query

    found = 0
    while not found:
        try:
            found = await store.read(failing(4 * len(kept)))
        except CannotReadError as error:
            kept.append(error)
        copier.execute("INSERT OR REPLACE INTO settings VALUES ('test', ?)", (len(kept),))
        assert copier.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0, f"after {4 * (len(kept) - 1)} steps"
    assert found == 5
    assert len(kept) > 20, "it failed at many places"
    copier.close()
    await store.close()
