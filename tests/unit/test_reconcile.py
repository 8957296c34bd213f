"""The rules that every plan of a batch's restart keeps, and plans that are written out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.engine.reconcile import Decision, FreedAction, Known, Plan, TrialAction, reconcile
from rund.model.status import Status

A = TrialAction
F = FreedAction
KEYS = st.sampled_from("abc")


@dataclass(frozen=True)
class Case:
    """What `reconcile` is asked."""

    current: list[Known[str]]
    orphans: list[Known[str]]
    generated: list[str]
    needed: bool
    stage: bool

    def plan(self) -> Plan:
        return reconcile(self.current, self.orphans, self.generated, needed=self.needed, stage=self.stage)

    @property
    def by_id(self) -> dict[str, Known[str]]:
        return {run.id: run for run in [*self.current, *self.orphans]}


@st.composite
def runs(draw: st.DrawFn, run_id: str) -> Known[str]:
    """A run in a state that can be: what is staged never started, what runs or ended did."""
    status = draw(st.sampled_from(Status))
    started = draw(st.booleans()) if status is Status.PENDING else status is not Status.STAGED
    stopping = status is Status.RUNNING and draw(st.booleans())
    requeued = stopping and draw(st.booleans())
    return Known(id=run_id, key=draw(KEYS), status=status, started=started, stopping=stopping, requeued=requeued)


@st.composite
def cases(draw: st.DrawFn, *, resting: bool = False) -> Case:
    number = draw(st.integers(0, 10))
    known = [draw(runs(f"run {at}")) for at in range(number)]
    if resting:
        known = [
            replace(run, status=Status.ERROR, stopping=False, requeued=False) if live(run) else run for run in known
        ]
    border = draw(st.integers(0, number))
    generated = draw(st.lists(KEYS, max_size=8))
    return Case(known[:border], known[border:], generated, needed=draw(st.booleans()), stage=draw(st.booleans()))


def live(run: Known[str]) -> bool:
    """Running or pending, for the specification: what is being stopped counts as ended, unless it is queued again."""
    return run.status is Status.PENDING or (run.status is Status.RUNNING and (not run.stopping or run.requeued))


def claimed(plan: Plan) -> list[str]:
    return [decision.id for decision in plan.decisions if decision.id is not None]


@given(cases())
def test_each_generated_trial_has_one_decision_in_its_place(case: Case) -> None:
    plan = case.plan()
    assert len(plan.decisions) == len(case.generated)
    for key, decision in zip(case.generated, plan.decisions, strict=True):
        assert (decision.id is None) == (decision.action is A.CREATE)
        assert decision.id is None or case.by_id[decision.id].key == key


@given(cases())
def test_a_run_is_claimed_at_most_once(case: Case) -> None:
    ids = claimed(case.plan())
    assert len(ids) == len(set(ids))


@given(cases())
def test_ids_are_kept_wherever_flags_are_equal(case: Case) -> None:
    there = Counter(run.key for run in case.by_id.values())
    wanted = Counter(case.generated)
    assert Counter(case.by_id[run_id].key for run_id in claimed(case.plan())) == there & wanted


@given(cases())
def test_current_trials_are_claimed_before_orphans_and_completed_ones_first_and_then_by_their_order(case: Case) -> None:
    def rank(run: Known[str], *, orphan: bool, at: int) -> tuple[bool, bool, int]:
        return orphan, run.status is not Status.COMPLETED, at

    ranks = {run.id: rank(run, orphan=False, at=at) for at, run in enumerate(case.current)}
    ranks |= {run.id: rank(run, orphan=True, at=at) for at, run in enumerate(case.orphans)}
    ids = claimed(case.plan())
    for key in set(case.generated):
        taken = [run_id for run_id in ids if case.by_id[run_id].key == key]
        candidates = sorted((run.id for run in case.by_id.values() if run.key == key), key=ranks.__getitem__)
        assert taken == candidates[: len(taken)]


@given(cases())
def test_what_is_taken_back_was_an_orphan(case: Case) -> None:
    orphans = {run.id for run in case.orphans}
    for decision in case.plan().decisions:
        assert decision.taken_back == (decision.id in orphans)


@given(cases())
def test_every_trial_that_nothing_claimed_is_set_free_and_no_other(case: Case) -> None:
    plan = case.plan()
    ids = set(claimed(plan))
    assert [run_id for run_id, _ in plan.freed] == [run.id for run in case.current if run.id not in ids]
    for run_id, action in plan.freed:
        run = case.by_id[run_id]
        waits = run.status is Status.PENDING or run.requeued
        assert action is (F.DELETE if not run.started else F.WITHDRAW if waits else F.LEAVE)


@given(cases())
def test_nothing_that_has_ever_run_is_deleted(case: Case) -> None:
    for run_id, action in case.plan().freed:
        assert action is not F.DELETE or not case.by_id[run_id].started


@given(cases())
def test_busy_names_each_live_run_that_is_listed_or_would_be_taken_back_unless_only_what_is_needed_is_asked_for(
    case: Case,
) -> None:
    plan = case.plan()
    ids = set(claimed(plan))
    forbid = [run.id for run in case.current if live(run)]
    forbid += [run.id for run in case.orphans if live(run) and run.id in ids]
    assert sorted(plan.busy) == ([] if case.needed else sorted(forbid))


@given(cases(), st.booleans())
def test_staging_changes_nothing_of_what_is_claimed_set_free_or_busy(case: Case, stage: bool) -> None:
    one, other = case.plan(), replace(case, stage=stage).plan()
    assert (claimed(one), one.freed, one.busy) == (claimed(other), other.freed, other.busy)


@given(cases())
def test_what_is_done_with_a_kept_trial(case: Case) -> None:
    for decision in case.plan().decisions:
        if decision.id is None:
            continue
        run = case.by_id[decision.id]
        if case.stage or live(run):
            expected = A.KEEP
        elif run.status is Status.RUNNING:
            expected = A.QUEUE_AFTER_END
        elif run.status is Status.COMPLETED and case.needed:
            expected = A.SKIP
        else:
            expected = A.QUEUE
        assert decision.action is expected


@given(cases(resting=True))
def test_a_batch_at_rest_is_never_busy_and_runs_all_that_it_lists(case: Case) -> None:
    plan = replace(case, needed=False, stage=False).plan()
    assert plan.busy == ()
    assert {decision.action for decision in plan.decisions} <= {A.CREATE, A.QUEUE, A.QUEUE_AFTER_END}


def carried_out(case: Case, plan: Plan) -> Case:
    """``case`` after its plan, as a batch that is asked for the same again."""
    freed = dict(plan.freed)
    listed: list[Known[str]] = []
    for at, (key, decision) in enumerate(zip(case.generated, plan.decisions, strict=True)):
        match decision.action:
            case A.CREATE:
                status = Status.STAGED if case.stage else Status.PENDING
                listed.append(Known(id=f"made {at}", key=key, status=status, started=False))
            case A.QUEUE:
                listed.append(replace(case.by_id[decision.id or ""], status=Status.PENDING))
            case A.QUEUE_AFTER_END:
                listed.append(replace(case.by_id[decision.id or ""], requeued=True))
            case A.SKIP | A.KEEP:
                listed.append(case.by_id[decision.id or ""])
    ids = {run.id for run in listed}
    left = [
        # What it is withdrawn to does not matter here: it has ended.
        replace(run, status=Status.ERROR) if freed.get(run.id) is F.WITHDRAW and not run.requeued else run
        for run in case.by_id.values()
        if run.id not in ids and freed.get(run.id) is not F.DELETE
    ]
    left = [replace(run, requeued=False) if freed.get(run.id) is F.WITHDRAW else run for run in left]
    return replace(case, current=listed, orphans=left, needed=True)


@given(cases())
def test_asked_for_the_same_again_nothing_is_made_or_set_free_or_taken_back(case: Case) -> None:
    again = carried_out(case, case.plan())
    plan = again.plan()
    assert {decision.action for decision in plan.decisions} <= {A.KEEP, A.SKIP, A.QUEUE, A.QUEUE_AFTER_END}
    assert not any(decision.taken_back for decision in plan.decisions)
    assert plan.freed == ()
    assert sorted(claimed(plan)) == sorted(run.id for run in again.current)


# Plans that are written out.

DONE = Status.COMPLETED


def known(run_id: str, key: str, status: Status = DONE, *, started: bool = True, stopping: bool = False) -> Known[str]:
    return Known(id=run_id, key=key, status=status, started=started, stopping=stopping)


def plan(
    current: list[Known[str]],
    orphans: list[Known[str]],
    generated: list[str],
    *,
    needed: bool = False,
    stage: bool = False,
) -> Plan:
    return reconcile(current, orphans, generated, needed=needed, stage=stage)


def decide(action: TrialAction, run_id: str | None = None, *, back: bool = False) -> Decision:
    return Decision(action=action, id=run_id, taken_back=back)


MADE = decide(A.CREATE)
ABCD = [known("a", "1.0,2"), known("b", "1.0,3"), known("c", "2.0,2"), known("d", "2.0,3")]
E = known("e", "1.0,4")
F_, G = known("f", "1.0,2"), known("g", "1.0,3")
CHANGED = known("c", "3.0,5")  # by a restart of its own
X1 = ["1.0,2", "1.0,3", "1.0,4"]
X12 = ["1.0,2", "1.0,3", "1.0,4", "2.0,2", "2.0,3", "2.0,4"]


@pytest.mark.parametrize(
    ("asked", "decisions", "freed"),
    [
        (plan([], [], [run.key for run in ABCD]), [MADE] * 4, []),
        (plan(ABCD, [], [run.key for run in ABCD]), [decide(A.QUEUE, each) for each in "abcd"], []),
        (
            plan(ABCD, [], ["1.0,2", "1.0,3"]),
            [decide(A.QUEUE, "a"), decide(A.QUEUE, "b")],
            [("c", F.LEAVE), ("d", F.LEAVE)],
        ),
        (plan(ABCD[:2], ABCD[2:], ["1.0,2", "1.0,3"]), [decide(A.QUEUE, "a"), decide(A.QUEUE, "b")], []),
        (plan(ABCD[:2], ABCD[2:], X1), [decide(A.QUEUE, "a"), decide(A.QUEUE, "b"), MADE], []),
        (plan([E], ABCD[2:], X1, needed=True), [MADE, MADE, decide(A.SKIP, "e")], []),
        (
            plan([F_, G, E], [CHANGED, ABCD[3]], X12, needed=True),
            [*(decide(A.SKIP, each) for each in "fge"), MADE, decide(A.SKIP, "d", back=True), MADE],
            [],
        ),
    ],
    ids=["run", "restart", "narrower", "remembered", "wider", "after a delete", "taken back"],
)
def test_the_worked_example_of_the_specification(
    asked: Plan, decisions: list[Decision], freed: list[tuple[str, FreedAction]]
) -> None:
    assert asked == Plan(decisions=tuple(decisions), freed=tuple(freed), busy=())


@pytest.mark.parametrize(
    ("run", "needed", "action"),
    [
        (known("r", "a", Status.STAGED, started=False), True, A.QUEUE),
        (known("r", "a", Status.ERROR), True, A.QUEUE),
        (known("r", "a", Status.TERMINATED), True, A.QUEUE),
        (known("r", "a", Status.COMPLETED), True, A.SKIP),
        (known("r", "a", Status.COMPLETED), False, A.QUEUE),
        (known("r", "a", Status.RUNNING), True, A.KEEP),
        (known("r", "a", Status.PENDING, started=False), True, A.KEEP),
        (known("r", "a", Status.RUNNING, stopping=True), True, A.QUEUE_AFTER_END),
        (known("r", "a", Status.RUNNING, stopping=True), False, A.QUEUE_AFTER_END),
    ],
)
def test_a_trial_is_run_again_by_its_status(run: Known[str], needed: bool, action: TrialAction) -> None:
    asked = plan([run], [], ["a"], needed=needed)
    assert asked == Plan(decisions=(decide(action, "r"),), freed=(), busy=())


def test_equal_flags_twice_stay_two_trials() -> None:
    two = [known("r", "a"), known("s", "a")]
    assert claimed(plan(two, [], ["a", "a"])) == ["r", "s"]
    assert claimed(plan(two, [], ["a"])) == ["r"]


def test_a_completed_one_of_equal_candidates_is_claimed_first() -> None:
    two = [known("r", "a", Status.ERROR), known("s", "a")]
    asked = plan(two, [], ["a"], needed=True)
    assert asked == Plan(decisions=(decide(A.SKIP, "s"),), freed=(("r", F.LEAVE),), busy=())


def test_a_current_trial_in_error_is_claimed_before_a_completed_orphan() -> None:
    assert claimed(plan([known("r", "a", Status.ERROR)], [known("s", "a")], ["a"])) == ["r"]


def test_an_orphan_that_runs_forbids_only_a_restart_that_would_take_it_back() -> None:
    orphan = known("r", "a", Status.RUNNING)
    assert plan([], [orphan], ["a"]).busy == ("r",)
    assert plan([], [orphan], ["b"]).busy == ()
    assert plan([], [orphan], ["a"], needed=True).decisions == (decide(A.KEEP, "r", back=True),)
