"""The daemon killed around the restart of a batch: what was committed runs, once."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from rund.errors import RundError
from tests.process.batch_client import GATED, NOTED, BatchClient, plan
from tests.process.conftest import wait_until


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.machine.env["RUND_SLOTS"] = "2"
    batches.machine.kill()
    batches.machine.start()
    batches.script("noted.py", NOTED)
    batches.script("gated.py", GATED)
    return batches


def _again(client: BatchClient) -> None:
    client.machine.kill()
    client.machine.start()


def test_killed_between_the_commit_and_the_first_process_all_of_it_runs_once(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    noted.call("pause")
    again = noted.restart(batch, "x=[1,2,3]")
    _again(noted)
    assert (noted.ids(batch), noted.attrs(batch)["generation"]) == (again["trials"], 2)
    assert noted.statuses(batch) == ["pending"] * 3
    noted.call("resume")
    noted.wait(batch)
    assert noted.statuses(batch) == ["completed"] * 3
    assert noted.attempts(batch) == [2, 2, 1]
    assert sorted(noted.ran()) == ["1 1", "1 1", "2 1", "2 1", "3 1"]


@pytest.mark.parametrize("restarts", [1, 4])
def test_killed_right_after_the_reply_all_of_it_runs_once(noted: BatchClient, restarts: int) -> None:
    made = noted.done(noted.run("noted.py", "x=range[1:8]"))
    batch = made["run"]["id"]
    for _ in range(restarts):
        assert noted.restart(batch)["trials"] == made["trials"]
        _again(noted)
        noted.wait(batch)
    assert noted.statuses(batch) == ["completed"] * 8
    assert noted.attempts(batch) == [1 + restarts] * 8
    assert sorted(noted.ran()) == sorted([f"{x} 1" for x in range(1, 9)] * (1 + restarts))


def test_killed_while_trials_run_they_go_on_and_are_taken_back(noted: BatchClient) -> None:
    made = noted.run("gated.py", "x=[1,2,3,4,5,6]", jobs=2)
    batch = made["run"]["id"]
    wait_until(lambda: len(noted.ran()) == 2)
    _again(noted)
    assert noted.statuses(batch) == ["running"] * 2 + ["pending"] * 4
    more = noted.restart(batch, "x=range[1:7]", needed=True)
    assert more["plan"] == plan(created=more["trials"][6:], kept=made["trials"])
    noted.go()
    noted.wait(batch)
    assert noted.attempts(batch) == [1] * 7
    assert sorted(noted.ran()) == [f"{x} 1" for x in range(1, 8)]


def test_killed_during_restarts_with_request_ids_each_takes_effect_once(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    noted.call("pause")
    answers = {}

    def ask() -> None:
        client: BatchClient | None = None
        for number in range(20):
            while number not in answers:
                try:
                    client = client or BatchClient(noted.machine)
                    answers[number] = client.restart(
                        batch, f"x=[1,2,{number + 10}]", needed=True, request_id=f"request {number}"
                    )
                except (RundError, OSError):  # the daemon is away, maybe again
                    if client is not None:
                        client.close()
                    client = None
                    wait_until(noted.machine.is_served)
        if client is not None:
            client.close()

    asking = threading.Thread(target=ask)
    asking.start()
    for until in (3, 8, 14):
        wait_until(lambda until=until: len(answers) >= until)  # type: ignore[misc] # bound now
        _again(noted)
    asking.join()
    assert [answers[number]["generation"] for number in range(20)] == list(range(2, 22))
    assert noted.ids(batch) == answers[19]["trials"]
    assert noted.values(batch, "x") == [(1,), (2,), (29,)]
    for number in (0, 7, 19):
        assert (
            noted.restart(batch, f"x=[1,2,{number + 10}]", needed=True, request_id=f"request {number}")
            == (answers[number])
        )


def test_killed_when_the_first_start_is_recorded_and_no_process_made_all_of_it_runs_once(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch = made["run"]["id"]
    server = _fork_server(noted)
    os.kill(server, signal.SIGSTOP)
    again = noted.restart(batch, "x=[1,2,3]")
    wait_until(lambda: "running" in noted.statuses(batch))
    noted.machine.kill()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: server not in noted.machine.processes())
    assert sorted(noted.ran()) == ["1 1", "2 1"], "none of the restart's"
    noted.machine.start()
    noted.wait(batch)
    assert (noted.ids(batch), noted.statuses(batch)) == (again["trials"], ["completed"] * 3)
    assert noted.attempts(batch) == [2, 2, 1]
    assert sorted(noted.ran()) == ["1 1", "1 1", "2 1", "2 1", "3 1"]


def _fork_server(client: BatchClient) -> int:
    """The pid of what forks all processes of the daemon's, when the shims of earlier runs are gone."""
    wait_until(lambda: len(client.machine.processes()) == 2)
    (server,) = set(client.machine.processes()) - {client.machine.daemons[-1].pid}
    assert Path(f"/proc/{server}/comm").read_text() == "rund-fork\n"
    return server
