"""Stores of every released schema, as that version's daemon left them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

FOLDER = Path(__file__).parent
SCHEMAS = sorted(int(path.stem.removeprefix("schema_")) for path in FOLDER.glob("schema_*.sql"))


def make_home(home: Path, schema: int) -> None:
    """Make ``home`` one with a store of this schema, with nothing beside its database."""
    home.mkdir(mode=0o700, parents=True)
    connection = sqlite3.connect(home / "rund.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript((FOLDER / f"schema_{schema}.sql").read_text("utf-8"))
    connection.close()


def content(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of every table, but for what rund counts for itself; of runs the columns that schema 1 has."""
    connection = sqlite3.connect(database)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    found = {}
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "damage"]
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
        found[table] = sorted((row for row in rows if row[0] not in ("log_number", "log_token")), key=repr)
    connection.close()
    return found
