"""Clients that ask and are gone before they are answered: what they asked is done whole and once, or not at all."""

from __future__ import annotations

from typing import Any

from runctl.client import Client
from runctl.reach import reach

from tests.process.conftest import Machine

CLIENTS = 25


def test_what_vanished_clients_asked_is_done_whole_and_once(served: Machine) -> None:
    served.script("echo.py", "x = 1\n")
    params: dict[str, Any] = {
        "operation": "echo.py", "cwd": str(served.project), "env": served.env, "stage": True, "args": ["x=[1,2,3]"],
    }  # fmt: skip
    for number in range(CLIENTS):
        with reach(served.env, start=False) as connection:
            connection.send("run", request_id=f"r{number}", **params)
    with Client(served.env, start=False) as client:
        batches = [client.call("run", request_id=f"r{number}", **params)["run"]["id"] for number in range(CLIENTS)]
        assert len(set(batches)) == CLIENTS
        found = client.call("list", limit=1000)["runs"]
        assert len(found) == 4 * CLIENTS, "each batch once, with its three trials"
        for batch in batches:
            trials = client.call("list", batch=batch)
            assert (trials["generation"], [run["flags"]["x"] for run in trials["runs"]]) == (1, [1, 2, 3])
