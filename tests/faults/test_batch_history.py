"""Eight clients change and read one batch while its daemon is killed: what they see has one order.

For a full minute: ``RUND_FULL=1``, or another time by ``RUND_HISTORY_SECONDS``; other clients' choices come
with another ``RUND_HISTORY_SEED``.
"""

from __future__ import annotations

import os
import time
from itertools import product

import pytest
from runctl.client import Client

from tests.faults.batch_clients import BatchClient, Notes
from tests.faults.batch_history import (
    Batch,
    Event,
    Read,
    Restart,
    Restarted,
    Seen,
    State,
    Trial,
)
from tests.faults.full_form import FULL
from tests.faults.linearizability import NotLinearizableError, linearize
from tests.process.conftest import DEADLINE, Machine, wait_until

CLIENTS = 8
SECONDS = float(os.environ.get("RUND_HISTORY_SECONDS", "60" if FULL else "12"))
SEED = int(os.environ.get("RUND_HISTORY_SEED", "1"))
LIFE = 2.5  # seconds of a daemon
VALUES = (1, 2)


@pytest.mark.timeout(SECONDS * 5 + 600)
def test_what_eight_clients_see_of_a_batch_has_one_order_though_the_daemon_is_killed(machine: Machine) -> None:
    machine.script("quick.py", "x = 1\ny = 1\n")
    machine.start(RUND_SLOTS="4")
    with Client(machine.env, start=False) as client:
        env = {"PATH": machine.env["PATH"]}
        made = client.call("run", operation="quick.py", args=["x=[1,2]", "y=[1,2]"], cwd=str(machine.project), env=env)
    batch = made["run"]["id"]
    notes = Notes()
    clients = [
        BatchClient(machine.env, batch, notes, seed=SEED * 100 + at, repeats=at % 2 == 0) for at in range(CLIENTS)
    ]
    for each in clients:
        each.start()
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            life = time.monotonic() + LIFE
            wait_until(lambda life=life: notes.faults or time.monotonic() > life)  # type: ignore[misc]  # bound now
            machine.kill()
            machine.start(RUND_SLOTS="4")
    finally:
        for each in clients:
            each.ending.set()
        for each in clients:
            each.join()
    assert notes.faults == []

    last = BatchClient(machine.env, batch, notes, seed=SEED, repeats=False)
    with Client(machine.env, start=False) as client:
        assert client.call("wait", runs=[batch], timeout=DEADLINE)["done"]
        last.ask(Read())
        last.ask(Restart())  # nothing lives, so this is not refused
        assert client.call("wait", runs=[batch], timeout=DEADLINE)["done"]
        end = last.ask(Read())
        last.hang_up()
        assert isinstance(end, Seen)
        lists = {
            number: tuple(client.call("trials", batch=batch, generation=number)["trials"])
            for number in range(1, end.generation + 1)
        }
        answered = [event for event in notes.events if isinstance(event.answer, Restarted | Seen)]
        print(f"{len(notes.events)} operations, {len(answered)} lists, {end.generation} generations")
        shown = client.call("list", batch=batch, limit=100)["runs"]
        assert {run["status"] for run in shown} <= {"completed"}
    ids = made["trials"]
    initial = State(
        generation=1,
        xs=VALUES,
        ys=VALUES,
        listed=tuple(map(Trial, ids, product(VALUES, VALUES))),
        live=frozenset(ids),
    )
    try:
        linearize(notes.events, initial, Batch(lists=lists).step)
    except NotLinearizableError as error:
        raise AssertionError(f"{error}:\n{_around(notes.events, error)}") from None


def _around(events: list[Event], error: NotLinearizableError) -> str:
    """The operations beside those that cannot come, with their times from the first of these on."""
    start = min(events[at].asked for at in error.next_ones)
    near = sorted((event.asked, at) for at, event in enumerate(events) if start - 0.5 < event.over < start + 1.5)
    return "\n".join(
        f"{at}: {events[at].asked - start:.4f} to {events[at].over - start:.4f},"
        f" {'explained' if at in error.explained else 'not explained'}: {events[at].call} {events[at].answer}"
        for _, at in near
    )
