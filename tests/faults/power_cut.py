"""Work that is acknowledged step by step, and what must be there of it after the power was cut.

No step takes back what another one promises, so that a step without an answer changes nothing of what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runctl.client import Client
from runctl.connection import Connection

from tests.process.conftest import wait_until

# It leaves one name for each time it is executed, on another disk than the store's.
RAN = '#!/bin/sh\nln -s x "{folder}/$RUND_RUN_ID.$$"\n'
STEPS = 9
AT_REST = ("completed", "error", "terminated", "staged")

Check = Callable[[Client], list[str]]  # what it finds wrong


def acknowledged_steps(client: Connection, params: dict[str, Any]) -> Iterator[Check]:
    """Do the steps one after the other; yields the check of each when it has been acknowledged.

    Raises `runctl.NoDaemonError` when the daemon is gone.
    """
    staged = [client.call("run", args=[f"x={x}"], stage=True, **params)["run"]["id"] for x in (1, 2)]
    yield lambda after: [f"staged run {each} is lost" for each in staged[:1] if each not in listed(after)]
    client.call("set", runs=staged[:1], label="kept")
    yield lambda after: differs(run_of(after, staged[0]), label="kept", status="staged", flags={"x": 1})
    client.call("delete", runs=staged[1:])
    yield lambda after: [f"run {each} is not deleted" for each in staged[1:] if each in listed(after)]
    single = client.call("run", **params)["run"]["id"]
    yield lambda after: [f"run {each} is lost" for each in [single] if each not in listed(after)]
    client.call("wait", runs=[single])
    ended = run_of(client, single)
    yield lambda after: differs(
        run_of(after, single), **{name: ended[name] for name in ("status", "stopped", "attempts")}
    )
    batch = client.call("run", args=["x=[1,2]"], **params)
    batch_id, trials = batch["run"]["id"], batch["trials"]
    yield lambda after: [f"trial {each} is lost" for each in trials if each not in trials_of(after, batch_id)]
    again = client.call("restart", run=batch_id, args=["x=[1,2,3]"], needed=True)
    yield lambda after: differs(run_of(after, batch_id), generation=again["generation"], trials=again["trials"])
    client.call("pause")
    yield lambda after: [] if after.call("status")["paused"] else ["the pause is lost"]
    pending = client.call("run", args=["x=7"], **params)["run"]["id"]
    client.call("stop", runs=[pending])
    yield lambda after: differs(run_of(after, pending), status="staged", reason="stopped")


def all_end_well(client: Client, ran: Path) -> list[str]:
    """What is wrong with how it goes on: each run is executed once at most, and once if it is said to be completed."""
    client.call("resume")
    wait_until(lambda: all(run["status"] in AT_REST for run in listed(client).values()))
    wrong = []
    for run_id, run in listed(client).items():
        if "generation" in run:
            continue
        times = len(list(ran.glob(f"{run_id}.*")))
        if times > 1 or (run["status"] == "completed") > times or (run["status"] == "staged" and times):
            wrong.append(f"run {run_id} is {run['status']} ({run['reason']}), and was executed {times} times")
    return wrong


def listed(client: Client | Connection) -> dict[str, dict[str, Any]]:
    return {run["id"]: run for run in client.call("list", limit=100)["runs"]}


def run_of(client: Client | Connection, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = listed(client).get(run_id, {})
    return run | client.call("show", run=run_id)["run"] if run else {}


def trials_of(client: Client, batch_id: str) -> list[str]:
    found: list[str] = run_of(client, batch_id).get("trials", [])
    return found


def differs(run: dict[str, Any], **expected: object) -> list[str]:
    """What of a run is not as expected."""
    return [f"{name} is {run.get(name)!r}, not {value!r}" for name, value in expected.items() if run.get(name) != value]
