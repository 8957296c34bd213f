"""What the store answers: pages that lose nothing, totals, what is damaged or strange."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest

from rund.broker import Broker
from rund.engine import lifecycle
from rund.errors import AmbiguousError, InternalError, NotFoundError, UnsupportedError
from rund.model.event import EventKind
from rund.model.status import Status
from rund.store.directories import Directories
from rund.store.listing import RunFilter
from rund.store.migrate import migrations
from rund.store.reader import Reader
from rund.store.store import READERS, CannotReadError, Store, prepare
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio


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
