"""Stores of earlier versions are brought up to date whole, or left; those of later ones are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rund.broker import Broker
from rund.errors import InternalError, UnsupportedError
from rund.model.run import Run
from rund.store import migrate as migrating
from rund.store.directories import Directories
from rund.store.listing import RunFilter
from rund.store.migrate import migrate, migrations
from rund.store.reader import Reader
from rund.store.store import Store, prepare
from tests.integration.stores import SCHEMAS, content, make_home

pytestmark = pytest.mark.anyio


def schema_of(database: Path) -> int:
    connection = sqlite3.connect(database)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def test_there_is_a_store_of_every_schema_but_the_present_one() -> None:
    assert list(range(1, len(migrations()))) == SCHEMAS


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_an_older_store_is_brought_up_to_date_with_all_it_holds(tmp_path: Path, schema: int) -> None:
    directories = Directories(tmp_path / "home")
    make_home(directories.home, schema)
    before = content(directories.database)
    prepare(directories)
    assert content(directories.database) == before
    assert schema_of(directories.database) == len(migrations())
    store = Store(directories, Broker().ring)

    def everything(reader: Reader) -> list[Run]:
        page = reader.list_runs(RunFilter(), limit=1000, after=None)
        return [run for run in page.runs if reader.attempts(run.id) is not None]

    runs = await store.read(everything)
    await store.close()
    assert len(runs) == 13
    assert len({run.status for run in runs}) == 3


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_migration_that_fails_at_any_statement_changes_nothing(
    tmp_path: Path, schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = Directories(tmp_path / "home")
    make_home(directories.home, schema)
    before = content(directories.database)
    steps = migrations()
    parts = [migrating.statements(step) for step in steps[schema:]]
    for number in range(sum(map(len, parts)) + 1):
        # As if that statement were none: the ones before it have been carried out.
        flat = [statement for part in parts for statement in part]
        broken = "\n".join([*flat[:number], "SELECT 1 FROM nowhere;"])
        monkeypatch.setattr(migrating, "migrations", lambda broken=broken: [*steps[:schema], broken])
        with pytest.raises((UnsupportedError, sqlite3.OperationalError), match="nowhere"):
            prepare(directories)
        assert schema_of(directories.database) == schema
        assert content(directories.database) == before


def test_a_later_store_is_refused_with_what_to_do_and_left_as_it_is(tmp_path: Path) -> None:
    directories = Directories(tmp_path / "home")
    prepare(directories)
    connection = sqlite3.connect(directories.database)
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    before = directories.database.read_bytes()
    with pytest.raises(UnsupportedError, match=r"later version of rund .* update rund"):
        prepare(directories)
    assert directories.database.read_bytes() == before


def test_migrating_what_is_up_to_date_does_nothing(tmp_path: Path) -> None:
    directories = Directories(tmp_path / "home")
    prepare(directories)
    connection = sqlite3.connect(directories.database, isolation_level=None)
    changes = connection.total_changes
    told: list[None] = []
    migrate(connection, "here", lambda: told.append(None))
    assert connection.total_changes == changes
    assert told == []
    connection.close()


def test_a_store_that_another_program_has_locked_is_worth_another_try(tmp_path: Path) -> None:
    directories = Directories(tmp_path / "home")
    prepare(directories)
    other = sqlite3.connect(directories.database, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("PRAGMA user_version = 1")
    try:
        # Unlike what is refused for good.
        with pytest.raises(InternalError, match="is its disk full, failing or in use"):
            prepare(directories)
    finally:
        other.close()
    prepare(directories)


def test_a_migration_that_takes_long_tells_again_and_again_that_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = Directories(tmp_path / "home")
    make_home(directories.home, SCHEMAS[-1])
    steps = migrations()
    long = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT i FROM n);"
    monkeypatch.setattr(migrating, "migrations", lambda: [*steps[:-1], f"{long}\n{steps[-1]}"])
    monkeypatch.setattr(migrating, "_TELL", 0.0)
    monkeypatch.setattr(migrating, "_STEPS", 10_000)
    told: list[None] = []
    prepare(directories, lambda: told.append(None))
    assert len(told) > 10
    assert schema_of(directories.database) == len(steps)
    again: list[None] = []
    prepare(directories, lambda: again.append(None))
    assert again == []
