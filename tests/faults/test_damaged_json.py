"""Rows that hold other JSON than they should, in every state of a run: the daemon serves, and the others go on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from runctl.client import Client

from rund.errors import InternalError, RundError
from tests.process.conftest import Machine

FULL = os.environ.get("RUND_FULL") == "1"
STRANGE: Final[tuple[Any, ...]] = (
    *(None, True, -1, 10**30, 1.5, "", "a\0b=\ud800", [], [None], [["a", 1]], {}, {"x": 1}, {"x": {"y": [{}]}}),
    {"": None, "a\0b": "a\0b", "x=y": [1]},
)
# As the store has it for the runs of this test.
OPERATION: Final = {
    "name": "true",
    "kind": "executable",
    "entry": "/bin/true",
    "arguments": [],
    "flags": [
        {
            "name": "x",
            "type": None,
            "declared": False,
            "default": None,
            "required": False,
            "choices": None,
            "nargs": None,
            "passing": "option",
            "option": None,
        }
    ],
    "project_dir": "/",
    "cwd": "/",
    "target": "/bin/true",
}
OPTIONS: Final = {
    "commit": None,
    "taken": 0,
    "given": ["x"],
    "random_seed": 1,
    "slots": 1,
    "priority": 0,
    "inputs": [["a", "/"]],
    "clean": False,
}
COLUMNS: Final[dict[str, Any]] = {
    "flags": {"x": 1},
    "next_flags": {"x": 1},
    "scalars": {"loss": 1.0},
    "attempt_flags": {"x": 1},
    "attempt_scalars": {"loss": 1.0},
    "command": ["/bin/true"],
    "options": OPTIONS,
    "operation": OPERATION,
    "environment": {"PATH": "/bin"},
}
ENDED = "status = 'error', attempts = 1, starts = 1, started = 2.0, stopped = 3.0, place = NULL, queued = NULL"
RUNNING = "status = 'running', attempts = 1, starts = 1, started = 2.0, place = NULL, queued = NULL"
STATES: Final = {
    "waits": "",
    "waits again": "attempts = 1, starts = 1",
    "runs": RUNNING,  # it never ran: it waits again
    "is lost": RUNNING,
    "is stopped": f"{RUNNING}, stopping = 1, next_setup = setup, next_flags = flags",
    "ended": ENDED,
}


def changed(value: Any) -> Iterator[Any]:
    """``value`` with something else in its place, and in that of each of its parts."""
    yield from STRANGE
    if isinstance(value, dict):
        for key, part in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: other} for other in changed(part))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from ([*value[:at], other, *value[at + 1 :]] for other in changed(part))


class Harm:
    """Damages the runs of a database, each in one way."""

    def __init__(self, database: Path, runs: list[str], boot: str) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None, timeout=60)
        self._connection.execute("PRAGMA ignore_check_constraints = ON")
        self._connection.execute("PRAGMA foreign_keys = OFF")
        self._connection.execute("BEGIN")
        self._runs = iter(runs)
        self._boot = boot
        self._number = 0

    def close(self) -> None:
        self._connection.execute("COMMIT")
        self._connection.close()

    def harm(self, column: str, text: str, state: str) -> str:
        """Damage the next run, which is in ``state`` then; answers its id."""
        run_id = next(self._runs)
        if STATES[state]:
            self._connection.execute(f"UPDATE runs SET {STATES[state]} WHERE id = ?", (run_id,))
            ends = ("running", None) if state in ("runs", "is lost", "is stopped") else ("error", 3.0)
            boot = None if state == "is lost" else self._boot
            self._connection.execute(
                "INSERT INTO attempts SELECT key, 1, id || '-1', setup, flags, ?, NULL, 2.0, ?, NULL, NULL, 1, '[]', "
                "NULL, NULL, ?, NULL, NULL, NULL, '{}' FROM runs WHERE id = ?",
                (*ends, boot, run_id),
            )
        match column:
            case "flags" | "next_flags" | "scalars":
                self._connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (text, run_id))
            case "attempt_flags" | "attempt_scalars" | "command":
                name = column.removeprefix("attempt_")
                self._connection.execute(
                    f"UPDATE attempts SET {name} = ? WHERE run = (SELECT key FROM runs WHERE id = ?)", (text, run_id)
                )
            case _:
                self._give_setup(column, text, run_id)
        return run_id

    def _give_setup(self, column: str, text: str, run_id: str) -> None:
        """Give the run a setup of its own."""
        self._number += 1
        digest = f"{self._number:032x}"
        row = self._connection.execute(
            "SELECT operation, environment, source, options FROM setups WHERE key = "
            "(SELECT setup FROM runs WHERE id = ?)",
            (run_id,),
        ).fetchone()
        operation, environment, source, options = row
        if column == "options":
            options = text
        elif column == "operation":
            operation = digest
            self._connection.execute("INSERT INTO operations VALUES (?, ?)", (digest, text))
        else:
            environment = digest
            self._connection.execute("INSERT INTO environments VALUES (?, ?)", (digest, text))
        key = self._connection.execute(
            "INSERT INTO setups (digest, operation, environment, source, options) VALUES (?, ?, ?, ?, ?) RETURNING key",
            (digest, operation, environment, source, options),
        ).fetchone()[0]
        self._connection.execute("UPDATE runs SET setup = ? WHERE id = ?", (key, run_id))
        self._connection.execute(
            "UPDATE attempts SET setup = ? WHERE run = (SELECT key FROM runs WHERE id = ?)", (key, run_id)
        )


def ask(client: Client, method: str, **params: object) -> None:
    """Ask for something that may be refused, but for no fault of the daemon's own."""
    try:
        client.call(method, **params)
    except RundError as error:
        assert not isinstance(error, InternalError), (method, params, error.message)


def states_of(column: str) -> list[str]:
    """The states in which a run has this column."""
    if column == "next_flags":
        return ["is stopped"]
    return [state for state in STATES if STATES[state] or column not in ("attempt_flags", "attempt_scalars", "command")]


@pytest.mark.parametrize("column", COLUMNS)
def test_whatever_json_stands_in_a_row_the_daemon_serves_and_the_others_go_on(machine: Machine, column: str) -> None:
    states, texts = states_of(column), [json.dumps(value) for value in changed(COLUMNS[column])]
    every = [(text, state) for text in texts for state in states]
    wanted = every if FULL else every[:: len(states) - 1 or 1]  # each text in a state or two
    machine.start(RUND_SLOTS="20")
    machine.ctl("pause", check=True)
    batch = machine.json("run", "-d", "/bin/true", f"x=range[1:{len(wanted) + 5}]")["run"]["id"]
    sound = machine.json("run", "-d", "/bin/true")["run"]["id"]
    trials = machine.json("show", batch)["run"]["trials"]
    machine.kill()
    harm = Harm(machine.home / "rund.db", trials, Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    harmed = [harm.harm(column, text, state) for text, state in wanted]
    harm.close()
    daemon = machine.start(RUND_SLOTS="20")
    others = [sound, *trials[len(wanted) :]]
    with Client(machine.env, start=False) as client:
        client.call("resume")
        client.call("wait", runs=others)
        assert {client.call("show", run=run_id)["run"]["status"] for run_id in others} == {"completed"}
        assert len(client.call("list", limit=len(wanted) + 10)["runs"]) == len(wanted) + 7
        for run_id in harmed:
            client.call("show", run=run_id)
            ask(client, "output", run=run_id)
            ask(client, "stop", runs=[run_id])
        client.call("wait", runs=harmed)
        for run_id in harmed:
            ask(client, "restart", run=run_id)
        client.call("restart", run=batch, needed=True)
        ask(client, "stop", runs=[batch])
        client.call("stop", runs=harmed)
        client.call("wait", runs=[*harmed, batch])
        client.call("delete", runs=harmed)
        client.call("purge", runs=harmed)
    assert daemon.poll() is None
    assert machine.ctl("run", "/bin/true").returncode == 0
