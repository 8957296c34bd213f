"""Trials start in the order of their batch."""

from __future__ import annotations

from runctl.client import Client

from tests.process.conftest import Machine


def test_trials_start_in_their_order_whether_they_are_made_or_run_again(machine: Machine) -> None:
    machine.script("one.py", "x = 1\n")
    machine.start(RUND_SLOTS="1")
    env = {"PATH": machine.env["PATH"]}
    with Client(machine.env, start=False) as client:
        made = client.call("run", operation="one.py", args=["x=[2,4]"], cwd=str(machine.project), env=env)
        batch = made["run"]["id"]
        client.call("wait", runs=[batch])
        client.call("restart", run=batch, args=["x=[1,2,3,4,5]"])
        client.call("wait", runs=[batch])
        trials = client.call("list", batch=batch)["runs"]
    started = sorted(trials, key=lambda trial: trial["started"])
    assert [trial["flags"]["x"] for trial in started] == [1, 2, 3, 4, 5]
