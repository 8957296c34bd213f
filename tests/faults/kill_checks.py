"""What must hold of a home after its daemons were killed, looked at from outside."""

from __future__ import annotations

import os
import select
import sqlite3
import time
from contextlib import closing
from typing import Any, NamedTuple

from tests.faults.kill_drive import Drive
from tests.faults.kill_world import Daemon, World

_RUNS = """
    SELECT runs.id, runs.operation, runs.flags, runs.status, runs.reason, runs.label, runs.attempts, runs.position,
           runs.generation, runs.deleted IS NOT NULL, runs.batch IS NOT NULL, runs.made_by IS NOT NULL,
           (SELECT group_concat(tag) FROM tags WHERE tags.run = runs.key)
    FROM runs ORDER BY runs.flags, runs.generation, runs.position, runs.key
"""
_ATTEMPTS = """
    SELECT token, number, attempts.status, attempts.reason, attempts.flags
    FROM attempts JOIN runs ON runs.key = attempts.run ORDER BY runs.flags, number
"""


class Outcome(NamedTuple):
    """What is in the end, without what differs from time to time (ids, times)."""

    runs: list[tuple[Any, ...]]
    attempts: list[tuple[Any, ...]]


def violations(drive: Drive, daemon: Daemon) -> tuple[Outcome, list[str]]:
    """The outcome of a scenario that was carried through, and what is wrong; ends its last daemon."""
    found = [*_acknowledged(drive), *_lists(drive)]
    drive.hang_up()
    world = drive.world
    leftovers = _until_clean(world)
    daemon.stop()
    outcome, attempts, wrong = _database(world)
    found += [*wrong, *_counts(world.ran(), attempts, erased="purge" in drive.acknowledged), *leftovers]
    left = [pid for pid in world.processes() if not _ends(pid, world.patience)]
    return outcome, found + [f"process {pid} is left" for pid in left]


def _acknowledged(drive: Drive) -> list[str]:
    """Whatever was answered is answered the same again, and nothing is done twice."""
    wrong = []
    for name, (method, params, answer) in drive.acknowledged.items():
        again = drive.ask(method, request_id=name, **params)
        if again != answer:
            wrong.append(f"{name} was answered {answer}, and asked again {again}")
    return wrong


def _lists(drive: Drive) -> list[str]:
    """Each list that was answered is a committed one, and the present one is whole."""
    wrong = []
    purged = "purge" in drive.acknowledged
    for name, (_, _, answer) in drive.acknowledged.items():
        if purged or answer.get("generation") is None:
            continue
        batch = answer["run"]["id"]
        listed = drive.ask("trials", batch=batch, generation=answer["generation"])
        if listed["trials"] != answer["trials"]:
            wrong.append(f"{name}: generation {answer['generation']} is {listed['trials']}, not {answer['trials']}")
        present = drive.ask("list", batch=batch, limit=100)
        shown = drive.ask("show", run=batch)["run"]
        if [run["id"] for run in present["runs"]] != drive.ask("trials", batch=batch)["trials"]:
            wrong.append(f"the batch lists {present}")
        if present["generation"] < answer["generation"] or shown["generation"] != present["generation"]:
            wrong.append(f"{name}: generation {answer['generation']} was answered, and it is {shown['generation']}")
    return wrong


def _database(world: World) -> tuple[Outcome, dict[str, tuple[str, str | None]], list[str]]:
    with closing(sqlite3.connect(world.home / "rund.db")) as database:
        wrong = [str(row) for row in database.execute("PRAGMA integrity_check") if row != ("ok",)]
        wrong += [f"foreign key: {row}" for row in database.execute("PRAGMA foreign_key_check")]
        runs = database.execute(_RUNS).fetchall()
        attempts = database.execute(_ATTEMPTS).fetchall()
    outcome = Outcome([row[1:] for row in runs], [row[1:] for row in attempts])
    return outcome, {row[0]: (row[2], row[3]) for row in attempts}, wrong


def _counts(ran: dict[str, int], attempts: dict[str, tuple[str, str | None]], *, erased: bool) -> list[str]:
    """Each attempt that there is ran once; no other ran, unless the scenario erased runs with their attempts."""
    wrong = [f"attempt {token} ran {count} times" for token, count in ran.items() if count != 1]
    wrong += [f"attempt {token} is {how}, and never ran" for token, how in attempts.items() if token not in ran]
    wrong += [f"attempt {token} is {how}" for token, how in attempts.items() if how[1] and "lost" in how[1]]
    if not erased:
        wrong += [f"attempt {token} ran and is not known" for token in ran if token not in attempts]
    return wrong


def _until_clean(world: World) -> list[str]:
    """What is in the home and belongs to nothing, after the daemon had time to remove it."""
    deadline = time.monotonic() + world.patience
    while left := _garbage(world):
        if time.monotonic() > deadline:
            return [f"{path} is left" for path in left]
        select.select([], [], [], 0.01)
    return []


def _garbage(world: World) -> list[str]:
    with closing(sqlite3.connect(f"file:{world.home / 'rund.db'}?mode=ro", uri=True)) as database:
        tokens = {token for (token,) in database.execute("SELECT token FROM attempts")}
        runs = {run for (run,) in database.execute("SELECT id FROM runs")}
        needed = {f"sources/{source}" for (source,) in database.execute("SELECT source FROM setups")}
        noted = [path for (path,) in database.execute("SELECT path FROM garbage")]
    present = [path for path in world.home.glob("attempts/*/*") if path.name not in tokens]
    present += [path for path in world.home.glob("runs/*/*") if path.name not in runs]
    present += [path for path in world.home.glob("sources/*") if f"sources/{path.name}" not in needed]
    present += world.home.glob("removed/*")
    return [*noted, *(str(path.relative_to(world.home)) for path in present)]


def _ends(pid: int, seconds: float) -> bool:
    """Whether a process, which has nothing more to do, ends within ``seconds``."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
