"""Batches of 100,000 trials: made, restarted, stopped, started and deleted, to the reply of each.

Measured against bare `sqlite3`, which reads and writes the same rows of the same schema in one durable transaction; and
what another client's `list` takes meanwhile, in a process of its own.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from runctl.client import Client

from tests.benchmarks.lister import Lister, percentile
from tests.benchmarks.own_daemon import OwnDaemon, own_daemon
from tests.benchmarks.row import Row, row_of

ROUNDS = 3
TRIALS, QUICK = 100_000, 1_000
BOUND = 4.0
LIST_BOUND = 50.0  # milliseconds

_COLUMNS = (
    "setup, status, reason, queued, place, priority, started, stopped, exit_status, signal, scalars, batch, position, "
    "retried, listed"
)


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    trials = QUICK if quick else TRIALS
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="large-") as name:
        for turn in range(rounds):
            with own_daemon(Path(name) / f"rund-{turn}", slots=4) as daemon:
                _Round(daemon, trials, taken).measure()
            shutil.rmtree(Path(name) / f"rund-{turn}")
    several = f"{trials:,} trials"
    return [
        row_of(f"making {several}", taken["make"], "s", against="sqlite3", other=taken["bare make"], bound=BOUND),
        row_of(
            f"restarting {several}, one value more",
            taken["restart"],
            "s",
            against="sqlite3",
            other=taken["bare restart"],
            bound=BOUND,
        ),
        row_of(f"stopping {several} that wait", taken["stop"], "s", against="sqlite3", other=taken["bare restart"]),
        row_of(f"starting {several}", taken["start"], "s", against="sqlite3", other=taken["bare restart"]),
        row_of(
            f"deleting {several} with their batch", taken["delete"], "s", against="sqlite3", other=taken["bare make"]
        ),
        *(
            row_of(
                f"list while {deed}, 99th percentile",
                taken[f"list {deed}"],
                "ms",
                against="at rest",
                other=taken["list rest"],
                note=f"the longest {statistics.median(taken[f'longest {deed}']):.0f} ms; at most {LIST_BOUND:g} ms",
            )
            for deed in ("make", "restart", "stop", "start", "delete")
        ),
    ]


class _Round:
    def __init__(self, daemon: OwnDaemon, trials: int, taken: dict[str, list[float]]) -> None:
        self._daemon = daemon
        self._trials = trials
        self._taken = taken
        self._store = Path(daemon.env["RUND_HOME"]) / "rund.db"

    def measure(self) -> None:
        (self._daemon.folder / "t.sh").write_text("#!/bin/sh\n")
        (self._daemon.folder / "t.sh").chmod(0o755)
        with Lister(self._daemon.env) as lister, closing(Client(self._daemon.env, start=False)) as client:
            client.call("pause")
            time.sleep(1.0)  # noqa: TID251 - the rest is measured
            self._note("list rest", percentile(lister.take()) * 1000)
            made = self._deed(lister, "make", lambda: self._run(client, f"n=range[1:{self._trials}]"))
        batch = made["run"]["id"]
        self._note("bare make", bare_make(self._store, self._daemon.folder))
        self._daemon.ctl("daemon", "stop")
        complete(self._store)
        before = self._daemon.folder / "before.db"
        with closing(sqlite3.connect(self._store)) as store, closing(sqlite3.connect(before)) as copy:
            store.backup(copy)
        self._daemon.ctl("daemon", "start")
        with Lister(self._daemon.env) as lister, closing(Client(self._daemon.env, start=False)) as client:
            more = f"n=range[1:{self._trials + 1}]"
            answer = self._deed(lister, "restart", lambda: client.call("restart", run=batch, args=[more]))
            assert answer["plan"]["restarted"] == self._trials if self._trials > 10_000 else answer["plan"]
            self._note("bare restart", bare_restart(self._store, before))
            self._deed(lister, "stop", lambda: client.call("stop", runs=[batch]))
            staged = self._run(client, f"m=range[1:{self._trials}]", stage=True)["run"]["id"]
            lister.take()
            self._deed(lister, "start", lambda: client.call("start", runs=[staged]))
            self._deed(lister, "delete", lambda: client.call("delete", runs=[batch], with_trials=True))

    def _run(self, client: Client, flag: str, **more: object) -> dict[str, dict[str, str]]:
        """The answer of `run` for a batch of this flag."""
        params = {"cwd": str(self._daemon.folder), "env": self._daemon.env, "force_flags": True} | more
        answer: dict[str, dict[str, str]] = client.call("run", operation="./t.sh", args=[flag], **params)
        return answer

    def _deed(self, lister: Lister, deed: str, action: Callable[[], dict]) -> dict:
        lister.take()
        begun = time.perf_counter()
        answer = action()
        self._note(deed, time.perf_counter() - begun)
        lists = lister.take()
        self._note(f"list {deed}", percentile(lists) * 1000)
        self._note(f"longest {deed}", max(lists, default=0.0) * 1000)
        return answer

    def _note(self, what: str, value: float) -> None:
        self._taken.setdefault(what, []).append(value)


def complete(store: Path) -> None:
    """Let all pending trials of a store that no daemon uses be completed, by one attempt each."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO attempts SELECT key, 1, id || '-1', setup, flags, 'completed', NULL, created + 1, created + 2, 0, "
            "NULL, place, '[]', 'host', 'user', 'boot', 1, 0.1, 0.1, '{}' FROM runs WHERE status = 'pending'"
        )
        connection.execute(
            "UPDATE runs SET status = 'completed', queued = NULL, place = NULL, started = created + 1, attempts = 1, "
            "starts = 1, stopped = created + 2, exit_status = 0, listed = created + 1 WHERE status = 'pending'"
        )
        connection.execute("UPDATE runs SET status = 'completed' WHERE generation IS NOT NULL")
        connection.execute("COMMIT")


def bare_make(store: Path, folder: Path) -> float:
    """Seconds for the runs of ``store`` to be inserted into an empty store of the same schema."""
    bare = folder / "bare.db"
    with closing(sqlite3.connect(store)) as made, closing(_bare(bare)) as connection:
        for (statement,) in made.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ):
            connection.execute(statement)
        for table in ("operations", "environments", "setups"):
            _copy(made, connection, table)
        rows = made.execute("SELECT * FROM runs ORDER BY key").fetchall()
        marks = ", ".join("?" * len(rows[0]))
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO runs VALUES ({marks})", rows)
        connection.execute("COMMIT")
        taken = time.perf_counter() - begun
    bare.unlink()
    return taken


def bare_restart(store: Path, before: Path) -> float:
    """Seconds for what a restart read of ``before`` to be read, and what it made of the runs to be written there."""
    with closing(sqlite3.connect(store)) as after, closing(_bare(before)) as connection:
        for table in ("setups",):
            _copy(after, connection, table)
        rows = after.execute(f"SELECT {_COLUMNS}, key FROM runs ORDER BY key").fetchall()
        last = connection.execute("SELECT max(key) FROM runs").fetchone()[0]
        new = after.execute("SELECT * FROM runs WHERE key > ?", (last,)).fetchall()
        changes = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT id, flags_key, status, attempts, stopping, next_setup, setup FROM runs").fetchall()
        connection.executemany(f"UPDATE runs SET {changes} WHERE key = ?", rows)
        connection.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * len(new[0]))})", new)
        connection.execute("COMMIT")
        taken = time.perf_counter() - begun
    before.unlink()
    return taken


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    for row in source.execute(f"SELECT * FROM {table}"):
        target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
