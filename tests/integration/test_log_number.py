"""A log that is removed after a kill is missed, if and only if something that was answered was in it."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rund.store import log
from rund.store.connection import open_reader, open_writer
from rund.store.directories import Directories
from rund.store.examine import DamagedStoreError, check_store, find_damage
from rund.store.files import StoreFiles
from rund.store.log_number import Mark, read_beside, read_inside, write_beside
from rund.store.store import prepare


class Home:
    """A home whose database is written as the writer writes it; what is answered is counted."""

    def __init__(self, folder: Path) -> None:
        self.directories = Directories(folder)
        self.answered = 0
        self.readers: list[sqlite3.Connection] = []
        self.open()

    def open(self) -> None:
        prepare(self.directories)
        self.connection = open_writer(self.directories.database)
        self.files = StoreFiles(self.directories)
        self.log = log.Log(self.connection, self.directories, self.files)

    def commit(self, *, answered: bool = True) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.log.begin()
        self.connection.execute(f"INSERT OR REPLACE INTO settings VALUES ('answered', '{self.answered + 1}')")
        self.log.number()
        self.connection.execute("COMMIT")
        if answered:
            self.log.committed()
            self.answered += 1

    def read(self) -> None:
        """Begin a read that holds up the copying of what comes after it."""
        reader = open_reader(self.directories.database)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM settings").fetchone()
        self.readers.append(reader)

    def release(self) -> None:
        for reader in self.readers:
            reader.close()
        self.readers = []

    def close(self) -> None:
        self.release()
        self.connection.close()
        self.files.close()

    def killed(self, folder: Path) -> Directories:
        """The home as a kill would leave it now."""
        shutil.copytree(self.directories.home, folder)
        return Directories(folder)


def kept(directories: Directories) -> int:
    connection = sqlite3.connect(directories.database)
    row = connection.execute("SELECT value FROM settings WHERE name = 'answered'").fetchone()
    connection.close()
    return 0 if row is None else int(row[0])


STEPS = st.lists(st.sampled_from(["commit", "read", "release", "reopen", "unanswered"]), max_size=25)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, every=st.integers(1, 4))
def test_a_removed_log_is_missed_or_held_nothing_that_was_answered(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[str], every: int
) -> None:
    monkeypatch.setattr(log, "_COMMITS", every)
    folder = tmp_path_factory.mktemp("home")
    home = Home(folder / "home")
    for step in steps:
        match step:
            case "commit":
                home.commit()
                home.log.copy_if_due()
            case "read":
                home.read()
            case "release":
                home.release()
            case "unanswered":  # killed before the number was written beside it
                home.commit(answered=False)
                break
            case _:
                home.close()
                assert find_damage(home.directories) is None, "a clean close leaves no log, and that is right"
                home.open()
    whole = home.killed(folder / "whole")
    assert find_damage(whole) is None
    assert kept(whole) >= home.answered
    cut = home.killed(folder / "cut")
    home.close()
    for name in ("rund.db-wal", "rund.db-shm"):
        (cut.home / name).unlink(missing_ok=True)
    before = cut.database.read_bytes()
    if find_damage(cut) is None:
        assert kept(cut) >= home.answered
    else:
        assert cut.database.read_bytes() == before, "what is damaged is kept as it is"
        assert kept(cut) < home.answered, "nothing was missing"


def test_a_removed_log_is_told_with_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.commit()
    killed = home.killed(tmp_path / "killed")
    home.close()
    killed.log.unlink()
    with pytest.raises(DamagedStoreError, match=r"last changes .* are missing: its log rund.db-wal .*runctl doctor"):
        prepare(killed)
    assert not killed.log.exists()


@pytest.mark.parametrize("damage", [b"", b"x" * 4096])
def test_a_damaged_log_is_told_and_kept(tmp_path: Path, damage: bytes) -> None:
    home = Home(tmp_path / "home")
    home.commit()
    killed = home.killed(tmp_path / "killed")
    home.close()
    killed.log.write_bytes(damage)
    with pytest.raises(DamagedStoreError, match="log"):
        check_store(killed)
    assert killed.log.read_bytes() == damage


def test_an_older_database_put_in_place_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.commit()
    home.close()
    older = home.directories.database.read_bytes()
    home.open()
    home.commit()
    home.close()
    home.directories.database.write_bytes(older)
    assert "an older database" in (find_damage(home.directories) or "")


def beside(path: Path) -> Mark | None:
    found = read_beside(path)
    return None if found is None else found.mark


def test_numbers_beside_are_read_back_and_outlive_a_torn_write(tmp_path: Path) -> None:
    path = tmp_path / "number"
    assert read_beside(path) is None
    for number in (0, 1, 2, 3, 1 << 60):
        write_beside(path, tmp_path / "no log", Mark(number=number, token=7 * number))
        assert beside(path) == Mark(number=number, token=7 * number)
    content = bytearray(path.read_bytes())
    content[:512] = b"?" * 512  # the newer one: even numbers are in the first half
    path.write_bytes(content)
    assert beside(path) == Mark(number=3, token=21)
    path.write_bytes(b"")
    assert beside(path) == Mark(), "that there was a database is known all the same"


def test_the_number_that_an_earlier_version_wrote_beside_is_read(tmp_path: Path) -> None:
    path = tmp_path / "number"
    data = struct.pack("<8sQ", b"rundlog1", 6)
    path.write_bytes((data + struct.pack("<I", zlib.crc32(data))).ljust(1024, b"\0"))
    found = read_beside(path)
    assert found is not None
    assert found.mark == Mark(number=6)
    assert found.base_of(1) == Mark(), "of its log nothing is known"


def test_the_number_is_written_inside_before_beside(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.commit(answered=False)
    assert read_inside(home.connection).number == 1
    assert beside(home.directories.log_number) == Mark()
    home.close()
    home.open()
    inside = read_inside(home.connection)
    assert inside.number > 1
    assert beside(home.directories.log_number) == inside
    home.close()


def test_large_changes_are_copied_before_the_log_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_LIMIT", 65_536)
    home = Home(tmp_path / "home")
    sizes = []
    for number in range(60):
        home.connection.execute("BEGIN IMMEDIATE")
        home.log.begin()
        home.connection.execute("INSERT INTO settings VALUES (?, ?)", (f"large {number}", "x" * 16_384))
        home.log.number()
        home.connection.execute("COMMIT")
        home.log.committed()
        home.log.copy_if_due()
        sizes.append(home.directories.log.stat().st_size)
    assert 65_536 < max(sizes) < 3 * 65_536
    home.close()


@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
def test_a_log_that_is_removed_meanwhile_is_copied_at_the_next_commit(tmp_path: Path, *, again: bool) -> None:
    home = Home(tmp_path / "home")
    home.commit()
    home.log.copy_if_due()
    home.directories.log.unlink()
    if again:
        home.directories.log.touch(0o600)
    for number in range(3):
        home.commit()
        home.log.copy_if_due()
        left = home.killed(tmp_path / f"killed-{number}")
        left.log.unlink(missing_ok=True)
        assert find_damage(left) is None
        assert kept(left) == home.answered
    home.close()
