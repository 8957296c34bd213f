"""What runs become: any history of changes keeps the rules of the store and of the specification."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.model.run import Attempt, Run, Setup, Spec
from rund.model.status import ENDED, Status
from rund.store.migrate import migrate
from rund.store.transaction import Transaction

RUN_ID = "0123456789abcdef0123456789abcdef"


def spec(x: int, transaction: Transaction | None = None) -> Spec:
    digest = "0" * 32
    if transaction is not None:
        digest = transaction.add_operation("{}")
        transaction.add_environment("{}")
    return Spec(
        setup=Setup(operation=digest, source=None, environment=digest, random_seed=7, priority=x % 3), flags={"x": x}
    )


def made(x: int = 1) -> Run:
    return Run(id=RUN_ID, operation="echo.py", spec=spec(x), status=Status.STAGED, created=1.0)


def started(run: Run, now: float) -> tuple[Run, Attempt]:
    return lifecycle.start(run, now=now, host="here", user="me", boot_id="b")


class Lifecycle(RuleBasedStateMachine):
    """Changes come in any order that the status allows; a real database checks each row that they make."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute("PRAGMA foreign_keys = ON")
        migrate(self.connection, "memory", lambda: None)
        self.store = Transaction(self.connection)
        self.attempts: list[Attempt] = []
        self.clock = 1.0
        self.tokens: set[str] = set()

    def teardown(self) -> None:
        self.connection.close()

    def now(self) -> float:
        self.clock += 1
        return self.clock

    @initialize(x=st.integers(0, 3))
    def make(self, x: int) -> None:
        self.run = replace(made(), spec=spec(x, self.store))
        self.store.add_run(self.run)

    @precondition(lambda self: self.run.status not in (Status.PENDING, Status.RUNNING))
    @rule(x=st.integers(0, 3))
    def queue(self, x: int) -> None:
        now = self.now()
        self.run = lifecycle.queue(self.run, spec(x, self.store), now=now, place=int(now))
        assert self.run.exit_status is None
        assert self.run.scalars == {}

    @precondition(lambda self: self.run.status is Status.PENDING)
    @rule()
    def start(self) -> None:
        self.run, attempt = started(self.run, self.now())
        assert attempt.token not in self.tokens, "a token is unique for ever"
        self.tokens.add(attempt.token)
        self.attempts.append(attempt)
        self.store.save_attempt(self.run.id, attempt)

    @precondition(lambda self: self.run.status is Status.PENDING)
    @rule()
    def withdraw(self) -> None:
        last = self.attempts[-1] if self.attempts else None
        self.run = lifecycle.withdraw(self.run, last, reason="stopped")
        if last is None:
            assert (self.run.status, self.run.reason) == (Status.STAGED, "stopped")
        else:
            assert (self.run.status, self.run.spec, self.run.scalars) == (last.status, last.spec, last.scalars)

    @precondition(lambda self: self.run.status is Status.RUNNING)
    @rule()
    def stop(self) -> None:
        self.run = lifecycle.stop(self.run)
        assert self.run.reason == "stopping"

    @precondition(lambda self: self.run.stopping)
    @rule(x=st.integers(0, 3))
    def restart_after_end(self, x: int) -> None:
        self.run = lifecycle.queue_after_end(self.run, spec(x, self.store))

    @precondition(lambda self: self.run.status is Status.RUNNING)
    @rule(status=st.sampled_from(sorted(ENDED)), exit_status=st.integers(1, 255))
    def end(self, status: Status, exit_status: int) -> None:
        now = self.now()
        wanted = self.run.next_spec
        how = End(
            status=status,
            reason=None if status is Status.COMPLETED else f"exit {exit_status}",
            exit_status=0 if status is Status.COMPLETED else exit_status,
            stopped=now,
            scalars={"loss": now},
        )
        self.run, over = lifecycle.end(self.run, self.attempts[-1], how, now=now, place=int(now))
        self.attempts[-1] = over
        self.store.save_attempt(self.run.id, over)
        if wanted is None:
            assert (self.run.status, self.run.exit_status) == (status, how.exit_status)
        else:
            assert (self.run.status, self.run.spec) == (Status.PENDING, wanted)

    @precondition(lambda self: self.run.status is Status.RUNNING)
    @rule()
    def never_ran(self) -> None:
        attempt = self.attempts.pop()
        last = self.attempts[-1] if self.attempts else None
        stopped, wanted = self.run.stopping, self.run.next_spec
        self.run = lifecycle.never_ran(self.run, attempt, last, now=self.now())
        self.store.erase_attempt(self.run.id, attempt.number)
        if wanted is not None:
            assert (self.run.status, self.run.spec) == (Status.PENDING, wanted)
        elif stopped:
            assert self.run.status is (Status.STAGED if last is None else last.status)
        else:
            assert (self.run.status, self.run.place) == (Status.PENDING, attempt.place)

    @invariant()
    def the_store_takes_it_and_gives_it_back(self) -> None:
        if hasattr(self, "run"):
            self.store.save_run(self.run)
            assert self.store.find(self.run.id) == self.run
            assert self.store.attempts(self.run.id) == self.attempts

    @invariant()
    def attempts_are_counted(self) -> None:
        if hasattr(self, "run"):
            assert self.run.attempts == len(self.attempts)
            assert [attempt.number for attempt in self.attempts] == list(range(1, len(self.attempts) + 1))

    @invariant()
    def completed_means_completed_with_the_flags_it_shows(self) -> None:
        if hasattr(self, "run") and self.run.status is Status.COMPLETED:
            assert self.attempts[-1].status is Status.COMPLETED
            assert self.attempts[-1].spec.flags == self.run.spec.flags


TestLifecycle = Lifecycle.TestCase


def test_a_restart_that_is_withdrawn_is_undone_whole() -> None:
    run, attempt = started(lifecycle.queue(made(1), spec(1), now=2.0, place=1), 3.0)
    done, over = lifecycle.end(
        run, attempt, End(status=Status.COMPLETED, reason=None, exit_status=0, stopped=4.0), now=4.0, place=2
    )
    waiting = lifecycle.queue(done, spec(5), now=5.0, place=3)
    assert waiting.spec.flags == {"x": 5}
    assert lifecycle.withdraw(waiting, over, reason="stopped") == done


def test_the_start_of_a_run_that_does_not_wait_is_impossible() -> None:
    with pytest.raises(Exception, match="cannot start"):
        started(made(), 1.0)


def test_a_run_shows_the_same_flags_by_type_and_of_another_operation_those_that_both_have():
    run = made(1)
    one, other = run.spec, replace(run.spec, setup=replace(run.spec.setup, operation="f" * 32))
    for flags, same in (({"x": 1}, True), ({"x": 1.0}, False), ({"x": 1, "w": 2}, False)):
        assert lifecycle.shows_same_flags(run, replace(run, spec=replace(one, flags=flags))) is same
    for flags, same in (({"x": 1, "w": 2}, True), ({"w": 2}, True), ({"x": 2, "w": 2}, False)):
        assert lifecycle.shows_same_flags(run, replace(run, spec=replace(other, flags=flags))) is same


@pytest.mark.parametrize("is_there", [True, False])
def test_a_withdrawn_run_of_whose_last_attempt_nothing_is_known_is_an_error(*, is_there: bool) -> None:
    run, attempt = started(lifecycle.queue(made(1), spec(1), now=2.0, place=1), 3.0)
    waiting = lifecycle.queue(replace(run, status=Status.ERROR), spec(5), now=5.0, place=3)
    withdrawn = lifecycle.withdraw(waiting, attempt if is_there else None, reason="stopped")
    assert (withdrawn.status, withdrawn.reason, withdrawn.place, withdrawn.queued) == ("error", "stopped", None, None)
