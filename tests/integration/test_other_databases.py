"""A database that was put beside the log of another one is told, or made whole by it: never a mixture of the two."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rund.store import log
from rund.store.backup import back_up
from rund.store.directories import Directories
from rund.store.examine import DamagedStoreError, find_damage
from rund.store.log_number import read_salts
from rund.store.store import prepare
from tests.integration.test_log_number import Home

PAGE = 4096


def change(home: Home, *, answered: bool = True) -> None:
    """Commit a change that writes several pages."""
    number = home.answered
    home.connection.execute("BEGIN IMMEDIATE")
    home.log.begin()
    home.connection.execute("INSERT INTO garbage VALUES (?)", (f"{number} of {home.directories.home} " + "x" * 3000,))
    home.connection.execute("DELETE FROM garbage WHERE path LIKE ?", (f"{number - 3} of%",))
    home.log.number()
    home.connection.execute("COMMIT")
    if answered:
        home.log.committed()
    home.answered += 1


def content(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute("SELECT path FROM garbage").fetchall()


def opened(directories: Directories) -> list[tuple[str, ...]]:
    """What the next daemon finds; it is whole."""
    prepare(directories)
    connection = sqlite3.connect(directories.database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return content(connection)
    finally:
        connection.close()


def step(home: Home, what: str) -> None:
    match what:
        case "change":
            change(home)
        case "copy":
            home.log.copy_if_due()
        case "read":
            home.read()
        case "release":
            home.release()
        case _:
            home.close()
            home.open()


STEPS = st.lists(st.sampled_from(["change", "change", "copy", "read", "release", "reopen"]), max_size=12)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(before=[], after=["change", "change", "change", "copy", "change"], others=[], related=False, every=3)
@example(before=[], after=["change", "change", "reopen", "change"], others=[], related=False, every=3)
@given(before=STEPS, after=STEPS, others=STEPS, related=st.booleans(), every=st.integers(1, 3))
def test_another_database_beside_a_log_is_told_or_made_whole(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    before: list[str],
    after: list[str],
    others: list[str],
    *,
    related: bool,
    every: int,
) -> None:
    monkeypatch.setattr(log, "_COMMITS", every)
    folder = tmp_path_factory.mktemp("homes")
    home = Home(folder / "home")
    for what in before:
        step(home, what)
    if related:  # it was copied while nobody used it, and has gone its own way since
        home.close()
        shutil.copytree(home.directories.home, folder / "other")
        home.open()
    other = Home(folder / "other")
    for what in others:
        step(other, what)
    copies = [folder / "backup of another", folder / "killed other"]
    back_up(other.directories.database, copies[0], force=False, proceed=lambda: True)
    shutil.copy(other.directories.database, copies[1])
    other.close()
    for number, what in enumerate(after):
        copies.append(folder / f"backup {number}")
        back_up(home.directories.database, copies[-1], force=False, proceed=lambda: True)
        step(home, what)
    expected = content(home.connection)
    for number, copy in enumerate(copies):
        killed = home.killed(folder / f"killed-{number}")
        assert find_damage(killed) is None
        killed.database.unlink()
        shutil.copy(copy, killed.database)
        if find_damage(killed) is None and read_salts(killed.log) is not None:
            assert opened(killed) == expected, f"{copy.name} was mixed with a log that is not its own"
    home.close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, every=st.integers(1, 3), data=st.data())
def test_a_copying_of_the_log_that_was_cut_short_is_no_damage(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[str],
    every: int,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(log, "_COMMITS", every)
    folder = tmp_path_factory.mktemp("homes")
    home = Home(folder / "home")
    for number, what in enumerate(["change", *steps, "copy"]):
        if what != "copy":
            step(home, what)
            continue
        old = home.directories.database.read_bytes()
        step(home, what)
        killed = home.killed(folder / f"killed-{number}")
        new = bytearray(killed.database.read_bytes())
        for at in range(0, len(new), PAGE):
            if data.draw(st.booleans(), label=f"page {at // PAGE} was not written"):
                new[at : at + PAGE] = old[at : at + PAGE].ljust(PAGE, b"\0")
        killed.database.write_bytes(new)
        assert find_damage(killed) is None
        assert opened(killed) == content(home.connection)
    home.close()


def test_an_older_database_put_beside_a_log_is_told_and_both_are_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.commit()
    home.close()
    older = home.directories.database.read_bytes()
    home.open()
    home.commit()
    home.close()
    home.open()
    home.commit()
    killed = home.killed(tmp_path / "killed")
    home.close()
    whole = killed.log.read_bytes()
    killed.database.write_bytes(older)
    with pytest.raises(
        DamagedStoreError, match=r"the log .*rund.db-wal is not that of the database .*doctor --restore"
    ):
        prepare(killed)
    assert killed.database.read_bytes() == older
    assert killed.log.read_bytes() == whole
