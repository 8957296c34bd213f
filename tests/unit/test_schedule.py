"""Which pending runs start: never more than the slots, never past one that waits for several."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rund.engine.schedule import schedule, short_wait, waits_for
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status


def pending(number: int, slots: int = 1) -> Run:
    setup = Setup(operation="o", source=None, environment="e", random_seed=1, slots=slots)
    return Run(
        id=f"{number:032x}",
        operation="a",
        spec=Spec(setup=setup, flags={}),
        status=Status.PENDING,
        created=0.0,
        queued=0.0,
        place=number,
    )


@given(st.lists(st.integers(1, 6), max_size=20), st.integers(1, 8), st.integers(0, 10), st.integers(1, 30))
def test_what_starts_is_the_head_of_the_queue_as_far_as_slots_reach(
    wanted: list[int], slots: int, used: int, limit: int
) -> None:
    queue = [pending(number, each) for number, each in enumerate(wanted)]
    chosen = schedule(iter(queue), slots=slots, used=used, limit=limit)
    assert chosen == queue[: len(chosen)], "nothing younger passes"
    taken = used + sum(min(run.spec.setup.slots, slots) for run in chosen)
    assert not chosen or taken <= slots
    if len(chosen) < min(len(queue), limit):
        assert taken + min(queue[len(chosen)].spec.setup.slots, slots) > slots, "no slot is left idle"


def test_a_run_that_wants_more_than_there_are_now_takes_all() -> None:
    assert schedule([pending(1, slots=9)], slots=4, used=0, limit=9)
    assert not schedule([pending(1, slots=9)], slots=4, used=1, limit=9)


def test_the_queue_is_read_only_as_far_as_needed() -> None:
    def endless():
        number = 0
        while True:
            yield pending(number)
            number += 1

    assert len(schedule(endless(), slots=3, used=1, limit=99)) == 2


def test_what_a_pending_run_waits_for_is_told() -> None:
    run = pending(1)
    assert waits_for(run, slots=4, used=4, paused=False, ahead=0) == "waits for a slot: 4 of 4 are taken"
    assert waits_for(run, slots=4, used=4, paused=False, ahead=1).endswith("after 1 run")
    assert waits_for(run, slots=4, used=3, paused=False, ahead=0) is None, "it is about to start"
    assert waits_for(run, slots=4, used=3, paused=False, ahead=1) == "waits for a slot: 3 of 4 are taken, after 1 run"
    assert waits_for(run, slots=4, used=4, paused=True, ahead=0).startswith("paused")
    assert short_wait(run, paused=True, batch_full=True) == "paused"
    assert short_wait(run, paused=False, batch_full=True) == "waits for its batch"
    assert short_wait(run, paused=False, batch_full=False) == "waits for a slot"
    assert waits_for(run, slots=4, used=1, paused=False, ahead=0, jobs=1).endswith("runs 1 trial at once (--jobs)")
    several = replace(run, spec=replace(run.spec, setup=replace(run.spec.setup, slots=2)))
    assert waits_for(several, slots=4, used=3, paused=False, ahead=0) == "waits for 2 slots: 3 of 4 are taken"
    assert waits_for(several, slots=4, used=2, paused=False, ahead=0) is None
    assert waits_for(several, slots=4, used=3, paused=False, ahead=2) == (
        "waits for 2 slots: 3 of 4 are taken, after 2 runs"
    )


@given(
    st.lists(st.sampled_from([None, "a", "b"]), max_size=20),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
    st.integers(1, 9),
)
def test_a_batch_runs_no_more_than_its_jobs_and_holds_up_no_other(
    batches: list[str | None], room: dict[str, int], slots: int
) -> None:
    queue = [
        replace(pending(number), batch=batch, position=None if batch is None else number)
        for number, batch in enumerate(batches)
    ]
    chosen = schedule(queue, slots=slots, used=0, limit=99, room=room)
    for batch, left in room.items():
        assert sum(run.batch == batch for run in chosen) <= left
    # Exactly those that have room, in order, as far as the slots reach.
    left = dict(room)
    able = []
    for run in queue:
        if left.get(run.batch, 1) > 0:
            able.append(run)
            if run.batch in left:
                left[run.batch] -= 1
    assert chosen == able[:slots]
