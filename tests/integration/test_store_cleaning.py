"""What nothing needs is removed: what is needed is not, and nothing is held up by it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest

from rund.broker import Broker
from rund.store.cleaning import clean_up, note_leftovers, remove_garbage
from rund.store.directories import Directories, run_folder
from rund.store.store import Store
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

pytestmark = pytest.mark.anyio


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
