"""What every client may rely on: generations, committed lists, statuses, events."""

from __future__ import annotations

import threading

import pytest

from tests.process.batch_client import GATED, NOTED, BatchClient, raised
from tests.process.conftest import wait_until


@pytest.fixture
def noted(batches: BatchClient) -> BatchClient:
    batches.machine.kill()
    batches.machine.start(RUND_SLOTS="2")
    batches.script("noted.py", NOTED)
    batches.script("gated.py", GATED)
    return batches


def test_generation_goes_up_by_one_with_every_change_of_trials_and_every_restart(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2,3,4]"))
    batch = made["run"]["id"]
    one, two, three, _ = made["trials"]
    lists = {1: made["trials"]}
    steps = (
        lambda: noted.restart(batch),
        lambda: noted.restart(batch, needed=True),
        lambda: noted.restart(batch, stage=True),
        lambda: noted.call("delete", runs=[one, two]),
        lambda: noted.restart(three, "x=8"),
        lambda: noted.restart(batch, "x=[4,9]"),
        lambda: noted.call("delete", runs=[batch]),
    )
    for number, step in enumerate(steps, 2):
        step()
        noted.wait(*made["trials"][2:])
        if number < 8:
            noted.wait(batch)
            shown = noted.attrs(batch)
            assert shown["generation"] == number
            assert shown["trials"] == noted.ids(batch)
            lists[number] = shown["trials"]
    assert [len(lists[number]) for number in range(1, 8)] == [4, 4, 4, 4, 2, 1, 2]
    noted.call("restore", runs=[batch])
    assert (noted.attrs(batch)["generation"], noted.ids(batch)) == (8, [])
    for number, ids in lists.items():
        page = noted.call("trials", batch=batch, generation=number)
        assert (page["trials"], page["generation"], page["total"]) == (ids, number, len(ids))


def test_generation_stays_where_trials_do_not_change(noted: BatchClient) -> None:
    made = noted.done(noted.run("noted.py", "x=[1,2]"))
    batch, (one, _) = made["run"]["id"], made["trials"]
    noted.call("set", runs=[one, batch], label="l")
    noted.restart(one)
    noted.wait(one)
    noted.call("pause", batch=batch)
    noted.call("resume", batch=batch)
    noted.call("stop", runs=[batch])
    noted.restart(batch, dry_run=True)
    assert noted.attrs(batch)["generation"] == 1


def test_a_superseded_list_is_read_on_page_by_page(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=range[1:25]", stage=True)
    batch = made["run"]["id"]
    first = noted.call("trials", batch=batch, limit=10)
    assert (first["generation"], first["trials"], first["next"]) == (1, made["trials"][:10], 10)
    now = noted.restart(batch, "x=range[5:7]", stage=True)
    second = noted.call("trials", batch=batch, generation=1, after=first["next"], limit=10)
    third = noted.call("trials", batch=batch, generation=1, after=second["next"], limit=10)
    assert first["trials"] + second["trials"] + third["trials"] == made["trials"]
    assert (third["next"], third["total"]) == (None, 25)
    assert noted.call("trials", batch=batch)["trials"] == now["trials"] == made["trials"][4:7]
    refused = raised(lambda: noted.call("trials", batch=batch, generation=3))
    assert refused.startswith("not-found: generation 3 of batch")


def test_a_reply_carries_what_it_committed_though_others_went_on(noted: BatchClient) -> None:
    made = noted.run("noted.py", "x=[1,2]", stage=True)
    batch = made["run"]["id"]
    answers: list[tuple[int, list[str]]] = []

    def extend(first: int) -> None:
        client = BatchClient(noted.machine)
        for number in range(first, first + 10):
            answer = client.restart(batch, f"x=[1,{number}]", stage=True)
            answers.append((answer["generation"], answer["trials"]))
            listed = client.call("list", batch=batch)
            answers.append((listed["generation"], [run["id"] for run in listed["runs"]]))
        client.close()

    threads = [threading.Thread(target=extend, args=(100 * each,)) for each in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {generation for generation, _ in answers} == set(range(2, 42))
    for generation, ids in answers:
        assert noted.call("trials", batch=batch, generation=generation)["trials"] == ids


def test_a_batch_has_the_status_that_its_trials_give_it(noted: BatchClient) -> None:
    noted.script(
        "some.py",
        "import os, time\nx = 1\nwhile not os.path.exists(os.environ['RUND_HOME'] + '/../go'):\n    time.sleep(0.01)\n"
        "raise SystemExit(x)\n",
    )
    made = noted.run("some.py", "x=[0,1]", stage=True)
    batch, (zero, one) = made["run"]["id"], made["trials"]
    assert noted.attrs(batch)["status"] == "staged"
    noted.call("pause")
    noted.call("start", runs=[zero])
    assert noted.attrs(batch)["status"] == "running", "a pending trial is enough"
    noted.call("resume")
    noted.until(zero, "running")
    assert noted.attrs(batch)["status"] == "running"
    noted.call("stop", runs=[batch])
    noted.wait(batch)
    shown = noted.attrs(batch)
    assert (shown["status"], shown["counts"]["terminated"], shown["counts"]["staged"]) == ("terminated", 1, 1)
    assert shown["stopped"] is not None
    noted.go()
    noted.done(noted.restart(batch))
    shown = noted.attrs(batch)
    assert (shown["status"], shown["counts"]["completed"], shown["counts"]["error"]) == ("error", 1, 1)
    noted.done(noted.restart(batch, "x=[0]", needed=True))
    shown = noted.attrs(batch)
    assert (shown["status"], shown["trial_count"], shown["counts"]["completed"]) == ("completed", 1, 1)
    assert noted.attrs(one)["status"] == "error"
    noted.call("stop", runs=[batch])
    assert noted.attrs(batch)["status"] == "completed", "nothing was left to be stopped"


def test_one_event_tells_of_many_and_carries_batch_and_generation(noted: BatchClient) -> None:
    noted.call("pause")
    last = noted.last_event()
    made = noted.run("noted.py", "x=range[1:30]")
    batch = made["run"]["id"]
    events = noted.events(last)
    (created,) = (event for event in events if event["kind"] == "created")
    assert (created["runs"], created["batch"], created["generation"]) == (made["trials"], batch, 1)
    assert [(each["runs"], each["generation"]) for each in events if each["kind"] == "trials"] == [([batch], 1)]
    last = noted.last_event()
    less = noted.restart(batch, "x=range[20:40]", needed=True)
    events = noted.events(last)
    told = {event["kind"]: event for event in events}
    assert len(told) == len(events)
    assert told["purged"]["runs"] == less["plan"]["deleted"] == made["trials"][:19]
    assert told["created"]["runs"] == less["plan"]["created"]
    assert {(told[kind]["batch"], told[kind]["generation"]) for kind in ("purged", "created", "trials")} == {(batch, 2)}
    last = noted.last_event()
    noted.call("stop", runs=[batch])
    (withdrawn,) = (event for event in noted.events(last) if event["kind"] == "withdrawn")
    assert sorted(withdrawn["runs"]) == sorted(less["trials"])
    numbers = [event["number"] for event in noted.events(0)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_one_list_is_one_snapshot_with_its_generation(noted: BatchClient) -> None:
    made = noted.run("gated.py", "x=[1,2,3]")
    batch = made["run"]["id"]
    wait_until(lambda: len(noted.ran()) == 2)
    listed = noted.call("list", batch=batch)
    assert [run["id"] for run in listed["runs"]] == made["trials"]
    assert (listed["generation"], listed["total"]) == (1, 3)
    waiting = noted.call("list", batch=batch, status=["pending"])
    assert [run["id"] for run in waiting["runs"]] == made["trials"][2:]
    assert waiting["total"] == 1
    noted.go()
    noted.wait(batch)
