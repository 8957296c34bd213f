"""What is written while the database or its log is gone is not acknowledged, or is kept all the same."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from rund.broker import Broker
from rund.errors import InternalError
from rund.store.committing import Asked, Committer
from rund.store.connection import open_reader, open_writer
from rund.store.directories import Directories
from rund.store.examine import find_damage
from rund.store.files import StoreFiles
from rund.store.listing import RunFilter
from rund.store.reader import Reader
from rund.store.reserve import Reserve
from rund.store.store import Store
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio


@pytest.fixture
def files(directories: Directories) -> Iterator[StoreFiles]:
    files = StoreFiles(directories)
    yield files
    files.close()


@pytest.fixture
def committer(directories: Directories, files: StoreFiles) -> Iterator[Committer]:
    committer = Committer(directories, Reserve(directories.reserve), files)
    yield committer
    committer.close()


async def carry_out(committer: Committer, change: Callable[[Transaction], object]) -> BaseException | None:
    """The error of a change that is carried out alone."""
    asked = Asked(change, asyncio.get_running_loop().create_future(), urgent=False)
    committer.carry_out([asked])
    return asked.error


def kept(directories: Directories) -> int:
    """How many runs the next daemon would find."""
    connection = sqlite3.connect(directories.database)
    count: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    connection.close()
    return count


def killed(directories: Directories, folder: Path) -> Directories:
    """The home as a kill would leave it now, without its log."""
    shutil.copytree(directories.home, folder)
    left = Directories(folder)
    for name in ("rund.db-wal", "rund.db-shm"):
        (folder / name).unlink(missing_ok=True)
    return left


async def test_a_database_that_is_moved_away_takes_no_change_until_it_is_back(
    directories: Directories, committer: Committer, add_run: AddRun
) -> None:
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    away = directories.home.parent / "away.db"
    directories.database.rename(away)
    refused = await carry_out(committer, lambda transaction: add_run(transaction, 2))
    assert isinstance(refused, InternalError)
    assert (
        refused.message
        == f"nothing was changed: the database {directories.database} is gone: put it back, and rund goes on"
    )
    assert committer.fault is not None
    assert not committer.look_again()
    assert not directories.database.exists(), "none is made in its place"
    away.rename(directories.database)
    assert committer.look_again()
    assert committer.fault is None
    assert await carry_out(committer, lambda transaction: add_run(transaction, 3)) is None
    committer.close()
    assert kept(directories) == 2


async def test_a_database_that_is_removed_or_replaced_takes_no_change(
    directories: Directories, committer: Committer, add_run: AddRun
) -> None:
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    copy = directories.home.parent / "copy.db"
    shutil.copy(directories.database, copy)
    content = copy.read_bytes()
    directories.database.unlink()
    refused = await carry_out(committer, lambda transaction: add_run(transaction, 2))
    assert "is gone, for it was removed: `runctl daemon stop`, then `runctl doctor --restore`" in str(refused)
    copy.rename(directories.database)
    refused = await carry_out(committer, lambda transaction: add_run(transaction, 3))
    assert "another file is in the place of the database" in str(refused)
    assert not committer.look_again()
    committer.close()
    assert directories.database.read_bytes() == content, "it is not written to"
    assert directories.log.exists(), "what the log holds is kept"


async def test_a_database_that_goes_while_a_change_is_written_takes_none_before_the_next_daemon(
    directories: Directories, committer: Committer, add_run: AddRun
) -> None:
    away = directories.home.parent / "away.db"

    def change(transaction: Transaction) -> None:
        add_run(transaction, 1)
        directories.database.rename(away)

    torn = await carry_out(committer, change)
    assert "it is not certain whether this is kept" in str(torn)
    assert "look before you ask again" in str(torn)
    away.rename(directories.database)
    assert not committer.look_again()
    refused = await carry_out(committer, lambda transaction: add_run(transaction, 2))
    assert "nothing was changed" in str(refused)
    assert "start rund again" in str(refused)
    committer.close()
    assert kept(directories) == 1, "only the next daemon can tell"


@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
async def test_what_is_acknowledged_without_the_log_is_kept(
    directories: Directories, committer: Committer, files: StoreFiles, add_run: AddRun, tmp_path: Path, *, again: bool
) -> None:
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    directories.log.unlink()
    if again:
        directories.log.touch(0o600)
    for number in (2, 3):
        assert await carry_out(committer, lambda transaction, number=number: add_run(transaction, number)) is None
        left = killed(directories, tmp_path / f"killed-{number}")
        assert find_damage(left) is None
        assert kept(left) == number
    assert "was removed: start rund again" in str(files.fault())


async def test_what_cannot_be_kept_without_the_log_is_not_acknowledged(
    directories: Directories, committer: Committer, add_run: AddRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rund.store.connection.BUSY_TIMEOUT_MS", 10)
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    reader = open_reader(directories.database)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    directories.log.unlink()
    torn = await carry_out(committer, lambda transaction: add_run(transaction, 2))
    assert "it is not certain whether this is kept, for the log" in str(torn)
    reader.close()
    assert "start rund again" in str(await carry_out(committer, lambda transaction: add_run(transaction, 3)))


async def test_a_connection_that_is_given_up_is_not_opened_anew_without_the_log(
    directories: Directories, committer: Committer, add_run: AddRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rund.store.connection.BUSY_TIMEOUT_MS", 10)
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    foreign = open_writer(directories.database)
    foreign.execute("BEGIN IMMEDIATE")
    directories.log.unlink()
    assert "nothing was changed" in str(await carry_out(committer, lambda transaction: add_run(transaction, 2)))
    foreign.execute("ROLLBACK")
    assert "start rund again" in str(await carry_out(committer, lambda transaction: add_run(transaction, 3)))
    assert not directories.log.exists(), "none is made in its place"
    foreign.close()


@pytest.mark.parametrize("name", ["rund.db", "rund.db-wal"])
async def test_reads_go_on_without_the_database_or_its_log(
    directories: Directories, add_run: AddRun, name: str
) -> None:
    store = Store(directories, Broker().ring)
    await store.write(lambda transaction: add_run(transaction, 1))
    await store.read(Reader.paused)  # one connection is there, as in each daemon that serves
    gone = directories.home / name
    gone.rename(directories.home.parent / name)
    assert str(gone) in str(store.fault)
    found: list[int] = []

    async def look() -> None:
        page = await store.read(lambda reader: reader.list_runs(RunFilter(), limit=9, after=None))
        found.append(page.total)

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(look)
    assert found == [1] * 40
    store.version()
    assert not gone.exists(), "none is made in its place"
    (directories.home.parent / name).rename(gone)
    assert store.fault is None
    await store.write(lambda transaction: add_run(transaction, 2))
    await store.close()
    assert kept(directories) == 2


def fail_looks(monkeypatch: pytest.MonkeyPatch, path: Path, number: int) -> None:
    """Have each look at ``path`` fail as the system may have it."""
    whole = os.stat

    def look(asked: Any, *args: Any, **options: Any) -> os.stat_result:
        if asked == path:
            raise OSError(number, os.strerror(number), str(path))
        return whole(asked, *args, **options)

    monkeypatch.setattr(os, "stat", look)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOMEM])
@pytest.mark.parametrize("name", ["rund.db", "rund.db-wal"])
async def test_a_file_that_cannot_be_looked_at_is_told_as_that_and_not_as_gone(
    directories: Directories, committer: Committer, files: StoreFiles, add_run: AddRun, name: str, number: int
) -> None:
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    with pytest.MonkeyPatch.context() as failing:
        fail_looks(failing, directories.home / name, number)
        assert f"cannot be looked at ({os.strerror(number).lower()})" in str(files.fault())
        refused = await carry_out(committer, lambda transaction: add_run(transaction, 2))
        if name == "rund.db":
            assert isinstance(refused, InternalError)
            assert refused.message.startswith(f"nothing was changed: the database {directories.database} cannot be")
            assert not committer.look_again()
        else:
            assert refused is None, "it is copied into the database"
    assert files.fault() is None
    assert committer.look_again()
    assert committer.fault is None
    assert await carry_out(committer, lambda transaction: add_run(transaction, 3)) is None
    committer.close()
    assert kept(directories) == (2 if name == "rund.db" else 3)


async def test_a_database_that_cannot_be_looked_at_once_a_change_is_written_is_waited_for(
    directories: Directories, committer: Committer, add_run: AddRun
) -> None:
    with pytest.MonkeyPatch.context() as failing:

        def change(transaction: Transaction) -> None:
            add_run(transaction, 1)
            fail_looks(failing, directories.database, errno.EIO)

        torn = await carry_out(committer, change)
        assert "it is not certain whether this is kept" in str(torn)
        assert "cannot be looked at (input/output error)" in str(torn)
        assert not committer.look_again()
    assert committer.look_again()
    assert await carry_out(committer, lambda transaction: add_run(transaction, 2)) is None
    committer.close()
    assert kept(directories) == 2


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO])
async def test_a_database_that_could_not_be_held_at_first_is_none_that_was_replaced(
    directories: Directories, add_run: AddRun, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    opens = os.open

    def refuse(path: Any, *args: Any, **options: Any) -> int:
        if path == directories.database:
            raise OSError(number, os.strerror(number), str(path))
        return opens(path, *args, **options)

    with monkeypatch.context() as failing:
        failing.setattr(os, "open", refuse)
        files = StoreFiles(directories)
    committer = Committer(directories, Reserve(directories.reserve), files)
    assert files.fault() is None
    assert await carry_out(committer, lambda transaction: add_run(transaction, 1)) is None
    away = directories.home.parent / "away.db"
    directories.database.rename(away)
    assert "is gone: put it back" in str(files.fault()), "it is held by now"
    away.rename(directories.database)
    committer.close()
    files.close()
    assert kept(directories) == 1


async def test_that_changes_are_copied_is_said_only_while_they_are(
    directories: Directories, add_run: AddRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rund.store.connection.BUSY_TIMEOUT_MS", 10)
    store = Store(directories, Broker().ring)
    await store.write(lambda transaction: add_run(transaction, 1))
    reader = open_reader(directories.database)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    directories.log.unlink()
    try:
        assert "until then each change is copied into the database" in str(store.fault)
        with pytest.raises(InternalError, match="it is not certain whether this is kept"):
            await store.write(lambda transaction: add_run(transaction, 2))
        assert "was removed" in str(store.fault)
        assert "start rund again" in str(store.fault)
        assert "is copied into" not in str(store.fault), "changes are refused"
    finally:
        reader.close()
        await store.close()
