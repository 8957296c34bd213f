"""Batches in the store: what is written in bulk is what the pure rules say, and each list is kept as committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.engine.recover import NeverRan
from rund.executor.ending import Ends, Outcome
from rund.model.batch import Batch, Prototype
from rund.model.run import Run, Spec
from rund.model.space import Choices, Space
from rund.model.status import Status
from rund.model.values import Flags, FlagValue
from rund.store.batch_changes import LIST_KEPT
from rund.store.bulk_changes import NewTrials
from rund.store.codec import dump, flags_key
from rund.store.directories import Directories
from rund.store.store import Store
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun

PROTOTYPE = Prototype(space=Space(fixed={"y": 1}, varying={"x": Choices(values=(1, 1.0, float("nan")), text="[..]")}))


@pytest.fixture
def store(directories: Directories) -> Iterator[Transaction]:
    connection = sqlite3.connect(directories.database, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    yield Transaction(connection)
    connection.close()


def batch_of(store: Transaction, add_run: AddRun, trials: int, **prototype: object) -> tuple[Run, list[Run]]:
    made = add_run(store, 0xB)
    batch = replace(made, generation=0, status=Status.COMPLETED)
    store.save_run(batch)
    store.save_batch(batch.id, Batch(prototype=replace(PROTOTYPE, **prototype)))
    runs = []
    for number in range(trials):
        run = add_run(store, number + 0x100, x=number)
        runs.append(replace(run, made_by=batch.id, batch=batch.id, position=number))
    # The batch that made a run is written once, with the run.
    for run in runs:
        store._connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))
        store.add_run(run)
    return batch, runs


def ended(run: Run, status: Status) -> Run:
    waiting = lifecycle.queue(run, run.spec, now=2.0, place=1)
    started, attempt = lifecycle.start(waiting, now=3.0, host="h", user="u", boot_id="b")
    how = End(status=status, reason="exit 3", exit_status=0, stopped=4.0, scalars={"loss": 1.0})
    return lifecycle.end(started, attempt, how, now=4.0, place=2)[0]


def test_runs_queued_in_bulk_become_what_the_pure_rule_says(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 4)
    before = [
        runs[0],
        *(
            ended(run, status)
            for run, status in zip(runs[1:], (Status.COMPLETED, Status.ERROR, Status.TERMINATED), strict=True)
        ),
    ]
    before[2] = replace(before[2], retried=2)
    for run in before:
        store.save_run(run)
    setup = replace(batch.spec.setup, random_seed=99, priority=5)
    changed = replace(batch, spec=replace(batch.spec, setup=setup))
    first = store.next_places(20)
    store.queue_trials(changed, [(number + 10, run.id) for number, run in enumerate(before)], 7.0, first=first)
    for number, run in enumerate(before):
        spec = Spec(setup=setup, flags=run.spec.flags)
        expected = lifecycle.queue(run, spec, now=7.0, place=first + 10 + number)
        assert store.find(run.id) == replace(expected, position=number + 10)
    assert [run.id for run in store.pending()] == [run.id for run in before]


def test_a_batch_is_kept_exactly(store: Transaction, add_run: AddRun) -> None:
    batch, _ = batch_of(store, add_run, 0)
    found = store.batch(batch.id)
    values = found.prototype.space.varying["x"].values
    assert [type(value) for value in values] == [int, float, float]
    assert values[2] != values[2], "NaN"
    assert replace(found.prototype, space=PROTOTYPE.space) == PROTOTYPE


def test_the_status_of_a_batch_follows_its_trials_with_one_event(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 2)
    store.settle(5.0)
    assert (store.find(batch.id).status, store.find(batch.id).stopped) == (Status.STAGED, None)
    store.save_run(replace(store.find(batch.id), started=5.5))
    waiting = lifecycle.queue(runs[0], runs[0].spec, now=6.0, place=1)
    store.save_run(waiting)
    store.settle(6.0)
    assert store.find(batch.id).status is Status.RUNNING
    events = len(store.events(0, 100))
    store.settle(7.0)
    assert len(store.events(0, 100)) == events, "nothing has changed"
    store.save_run(lifecycle.withdraw(waiting, None, reason="stopped"))
    store.set_stopped(batch.id, stopped=True)
    store.settle(8.0)
    assert (store.find(batch.id).status, store.find(batch.id).stopped) == (Status.TERMINATED, 8.0)
    assert store.trial_counts(batch.id)[Status.STAGED] == 2


def test_each_list_is_kept_as_committed_for_an_hour_after_the_next(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 3)
    ids = [run.id for run in runs]
    one, listed = store.publish(batch, 10.0)
    assert (one.generation, listed) == (1, ids)
    store.free_trials(batch.id, [ids[1]])
    two, listed = store.publish(one, 20.0)
    assert (two.generation, listed) == (2, [ids[0], ids[2]])
    assert store.committed_list(batch.id, 1) == ids
    assert store.committed_list(batch.id, 2) == [ids[0], ids[2]]
    assert [row.id for row in store.orphan_rows(batch.id)] == [ids[1]]
    store.publish(two, 20.0 + LIST_KEPT + 1)
    assert store.committed_list(batch.id, 1) is None
    assert store.committed_list(batch.id, 2) == [ids[0], ids[2]]


def test_a_list_that_was_committed_empty_is_empty_and_not_unknown(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 2)
    one, _ = store.publish(batch, 10.0)
    store.free_trials(batch.id, [run.id for run in runs])
    now, listed = store.publish(one, 20.0)
    assert listed == []
    assert store.committed_list(batch.id, now.generation) == []
    assert store.committed_page(batch.id, now.generation, after=3, limit=5) == ([], 0)


def test_a_batch_has_room_for_as_many_as_its_jobs_and_none_while_it_is_paused(
    store: Transaction, add_run: AddRun
) -> None:
    batch, runs = batch_of(store, add_run, 4, jobs=2)
    alone = add_run(store, 0xA)
    store.save_run(lifecycle.queue(alone, alone.spec, now=1.0, place=99))
    for number, run in enumerate(runs):
        store.save_run(lifecycle.queue(run, run.spec, now=1.0, place=number))
    assert store.room() == {batch.id: 2}
    assert [run.id for run in store.pending()] == [runs[0].id, runs[1].id, alone.id]
    running, _ = lifecycle.start(store.find(runs[0].id), now=2.0, host="h", user="u", boot_id="b")
    store.save_run(running)
    assert store.room() == {batch.id: 1}
    store.set_batch_paused(batch.id, paused=True)
    assert store.room() == {batch.id: 0}
    assert [run.id for run in store.pending()] == [alone.id]


def test_runs_that_have_started_are_never_erased_with_those_that_have_not(store: Transaction, add_run: AddRun) -> None:
    _, runs = batch_of(store, add_run, 2)
    store.save_run(ended(runs[0], Status.ERROR))
    store.delete_runs([run.id for run in runs])
    assert store.find(runs[0].id) is not None
    assert store.find(runs[1].id) is None


def test_what_never_ran_but_was_about_to_leaves_no_folder_when_it_is_deleted(
    store: Transaction, add_run: AddRun
) -> None:
    _, runs = batch_of(store, add_run, 2)
    store.save_run(replace(runs[0], starts=1))
    store.delete_runs([run.id for run in runs])
    assert store.garbage(10) == [f"runs/{runs[0].id[:2]}/{runs[0].id}"]


def test_all_that_leaves_a_batch_as_ends_are_recorded_leaves_it_in_one_generation(
    store: Transaction, add_run: AddRun, directories: Directories
) -> None:
    batch, runs = batch_of(store, add_run, 3, fail_fast=True)
    one, _ = store.publish(batch, 1.0)
    outcomes: dict[str, Outcome] = {}
    for number, run in enumerate(runs):
        store.save_run(ended(run, Status.COMPLETED))
        over = lifecycle.start(
            lifecycle.queue(run, run.spec, now=2.0, place=1), now=3.0, host="h", user="u", boot_id="b"
        )
        store.save_attempt(
            run.id,
            lifecycle.end(
                *over, End(status=Status.COMPLETED, reason=None, exit_status=0, stopped=4.0), now=4.0, place=1
            )[1],
        )
        changed = lifecycle.queue(
            ended(run, Status.COMPLETED), replace(run.spec, flags={"x": number + 100}), now=5.0, place=number
        )
        if number < 2:
            changed, attempt = lifecycle.start(changed, now=6.0, host="h", user="u", boot_id="b")
            store.save_attempt(run.id, attempt)
            bad = End(status=Status.ERROR, reason="exit 1", exit_status=1, stopped=7.0)
            outcomes[attempt.token] = NeverRan() if number else bad
            changed = lifecycle.stop(changed) if number else changed
        store.save_run(changed)
    # The first fails, so that the third is withdrawn; the second, which was stopped, never ran: both show 1 and 2 again.
    Ends(cast(Store, SimpleNamespace(directories=directories))).record_in(store, outcomes)
    now = store.find(batch.id)
    assert (now.generation, store.trial_ids(batch.id)) == (one.generation + 1, [runs[0].id])
    assert store.committed_list(batch.id, now.generation) == [runs[0].id]


def begun(store: Transaction, run: Run, status: Status, **flags: FlagValue) -> Run:
    """``run`` after an attempt that ended so, with these flags."""
    waiting = lifecycle.queue(run, replace(run.spec, flags=dict(flags)), now=2.0, place=1)
    started, attempt = lifecycle.start(waiting, now=3.0, host="h", user="u", boot_id="b")
    how = End(status=status, reason="why", exit_status=0, signal=None, stopped=4.0, scalars={"loss": 1.5})
    after, over = lifecycle.end(started, attempt, how, now=4.0, place=2)
    store.save_attempt(run.id, over)
    store.save_run(after)
    return after


def test_runs_withdrawn_in_bulk_become_what_the_pure_rule_says(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 6)
    before = [
        runs[0],
        begun(store, runs[1], Status.COMPLETED, x=1),
        begun(store, runs[2], Status.ERROR, x=2),
        begun(store, runs[3], Status.TERMINATED, x=3),
        begun(store, runs[4], Status.COMPLETED, x=4.0),
    ]
    other = replace(batch.spec.setup, random_seed=7, priority=3)
    waiting = [
        lifecycle.queue(run, Spec(setup=other, flags={"x": number}), now=5.0, place=number + 5)
        for number, run in enumerate(before)
    ]
    running, attempt = lifecycle.start(
        lifecycle.queue(runs[5], runs[5].spec, now=5.0, place=20), now=6.0, host="h", user="u", boot_id="b"
    )
    store.save_attempt(running.id, attempt)
    waiting.append(lifecycle.queue_after_end(lifecycle.stop(running), replace(running.spec, flags={"x": 50})))
    for run in waiting:
        store.save_run(run)
    last = store.last_event()
    assert store.waiting_trials(batch.id) == [run.id for run in waiting]
    assert store.pending_trials(batch.id) == [run.id for run in waiting[:5]]
    changed = store.withdraw_each([run.id for run in waiting], 9.0)
    assert [(one.id, two.spec.flags) for one, two in changed] == [(runs[4].id, {"x": 4.0}), (runs[5].id, {"x": 5})]
    for run, number in zip(waiting[:5], range(5), strict=True):
        expected = lifecycle.withdraw(run, store.attempt(run.id, 1), reason=lifecycle.STOPPED)
        assert store.find(run.id) == expected, number
    assert store.find(running.id) == replace(waiting[5], next_spec=None)
    told = {event.status: (event.runs, event.reason) for event in store.events(last, 10)}
    assert told == {
        Status.STAGED: ((runs[0].id,), "stopped"),
        Status.RUNNING: ((runs[5].id,), None),
        Status.COMPLETED: ((runs[1].id, runs[4].id), None),
        Status.ERROR: ((runs[2].id,), None),
        Status.TERMINATED: ((runs[3].id,), None),
    }
    row = store.connection.execute("SELECT priority, listed FROM runs WHERE id = ?", (runs[2].id,)).fetchone()
    assert tuple(row) == (before[2].spec.setup.priority, 3.0)


@pytest.mark.parametrize("stage", [False, True])
def test_trials_made_in_bulk_are_what_each_would_be_by_itself(
    store: Transaction, add_run: AddRun, *, stage: bool
) -> None:
    batch, _ = batch_of(store, add_run, 0)
    setup = replace(batch.spec.setup, priority=4)
    first = store.next_places(10)
    each = Run(
        id="0" * 32,
        operation="echo.py",
        spec=Spec(setup=setup, flags={}),
        status=Status.STAGED,
        created=8.0,
        made_by=batch.id,
        batch=batch.id,
        position=0,
    )
    template = each if stage else lifecycle.queue(each, each.spec, now=8.0, place=first)
    flags: list[Flags] = [{"x": 1, "y": "a"}, {"x": 1.0, "y": "\u2028\U0001f600"}]
    made = NewTrials(
        ids=["a" * 32, "b" * 32],
        flags=[dump(one) for one in flags],
        keys=[flags_key(one) for one in flags],
        positions=[2, 7],
    )
    store.add_trials(template, made, place=None if stage else first)
    for run_id, one, position in zip(made.ids, flags, made.positions, strict=True):
        alone = replace(each, id=run_id, spec=Spec(setup=setup, flags=one), position=position)
        expected = alone if stage else lifecycle.queue(alone, alone.spec, now=8.0, place=first + position)
        assert store.find(run_id) == expected
        row = store.connection.execute("SELECT flags_key, priority, listed FROM runs WHERE id = ?", (run_id,))
        assert tuple(row.fetchone()) == (flags_key(one), 4, 8.0)


def test_staged_trials_queued_in_bulk_become_what_the_pure_rule_says(store: Transaction, add_run: AddRun) -> None:
    batch, runs = batch_of(store, add_run, 4)
    done = begun(store, runs[1], Status.COMPLETED, x=1)
    store.free_trials(batch.id, [runs[2].id])
    store.save_run(lifecycle.withdraw(lifecycle.queue(runs[3], runs[3].spec, now=2.0, place=3), None, reason="stopped"))
    before = {run.id: store.find(run.id) for run in runs}
    place = store.next_place()
    assert store.queue_staged(batch.id, 9.0) == [runs[0].id, runs[3].id]
    for run in (runs[0], runs[3]):
        old = before[run.id]
        expected = lifecycle.queue(old, old.spec, now=9.0, place=place + 1 + old.position)
        assert store.find(run.id) == expected
    assert (store.find(done.id), store.find(runs[2].id)) == (done, before[runs[2].id])
    assert store.next_place() > store.find(runs[3].id).place
    assert store.queue_staged(batch.id, 9.0) == []


def test_runs_deleted_in_bulk_are_listed_by_no_batch_and_their_batches_follow(
    store: Transaction, add_run: AddRun
) -> None:
    batch, runs = batch_of(store, add_run, 3)
    done = begun(store, runs[0], Status.COMPLETED, x=1)
    store.settle(5.0)
    assert store.find(batch.id).status is Status.STAGED
    store.trash_runs([run.id for run in runs[1:]], 6.0)
    assert [store.find(run.id) for run in runs[1:]] == [
        replace(run, deleted=6.0, batch=None, position=None) for run in runs[1:]
    ]
    store.settle(7.0)
    assert (store.find(batch.id).status, store.trial_ids(batch.id)) == (Status.COMPLETED, [done.id])
    assert store.tokens([done.id]) == [f"{done.id}-1"]
