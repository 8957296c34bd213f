"""Changes in bulk become what the pure rules say of each run, whatever has happened to it before."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hypothesis import example, given
from hypothesis import strategies as st

from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.model.batch import Batch, Prototype
from rund.model.run import Attempt, Run, Setup, Spec
from rund.model.space import Space
from rund.model.status import ENDED, Status
from rund.model.values import Flags, FlagValue
from rund.store.codec import dump, flags_key
from rund.store.migrate import migrate
from rund.store.transaction import Transaction

NOW = 1000.0
RETRIES = 2
BATCH = "b" * 32
VALUES: tuple[FlagValue, ...] = (1, 1.0, True, "1", math.nan, None, [1, 2.0])
ENDS = {
    "complete": End(status=Status.COMPLETED, reason=None, exit_status=0, stopped=5.0, scalars={"loss": 0.5}),
    "fail": End(status=Status.ERROR, reason="exit 3", exit_status=3, stopped=5.0),
    "lose": End(status=Status.ERROR, reason="lost: the machine restarted", stopped=5.0),
    "kill": End(status=Status.TERMINATED, reason="signal 9", signal=9, stopped=5.0),
}
CAN = {
    Status.STAGED: ("queue", "free"),
    Status.PENDING: ("start", "withdraw", "start", "free"),
    Status.RUNNING: ("fail", "stop", "complete", "never-ran", "kill", "lose", "free"),
    Status.COMPLETED: ("queue", "free"),
    Status.ERROR: ("retry", "queue", "free"),
    Status.TERMINATED: ("retry", "queue", "free"),
}
# One thing that happens to a run: which of those that can, and what it is asked to run with where that matters.
Step = tuple[int, FlagValue, int]
STEP = st.tuples(st.integers(0, 6), st.sampled_from(VALUES), st.integers(0, 3))
HISTORIES = st.lists(st.lists(STEP, max_size=9), min_size=1, max_size=6)


@dataclass
class Known:
    """A run as it stands in the store, with its attempts."""

    run: Run
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


class World:
    """A store with one batch, and with runs that have a history; ``setups`` are of two operations."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.store = Transaction(connection)
        environment = self.store.add_environment("{}")
        operations = [self.store.add_operation(text) for text in ("{}", '{"newer": 1}')]
        self.setups = [
            Setup(
                operation=operations[number % 2],
                source=None,
                environment=environment,
                random_seed=number,
                priority=number * 2 - 3,
                clean=number == 3,
            )
            for number in range(4)
        ]
        self.batch = Run(
            id=BATCH,
            operation="echo.py+",
            spec=Spec(setup=self.setups[0], flags={}),
            status=Status.COMPLETED,
            created=0.5,
            generation=1,
        )
        self.store.add_run(self.batch)
        prototype = Prototype(space=Space(fixed={}, varying={}), retries=RETRIES)
        self.store.save_batch(BATCH, Batch(prototype=prototype))

    def grow(self, histories: list[list[Step]]) -> list[Known]:
        """The runs that these things happen to."""
        grown = []
        for number, steps in enumerate(histories):
            run = Run(
                id=f"{number:032x}",
                operation="echo.py",
                spec=Spec(setup=self.setups[number % 4], flags={"x": VALUES[number % len(VALUES)]}),
                status=Status.STAGED,
                created=float(number + 1),
                made_by=BATCH,
                batch=BATCH,
                position=number,
            )
            self.store.add_run(run)
            known = Known(run)
            for at, (which, value, setup) in enumerate(steps):
                can = ("after-end", *CAN[Status.RUNNING]) if known.run.stopping else CAN[known.run.status]
                self._happen(
                    known, can[which % len(can)], Spec(setup=self.setups[setup], flags={"x": value}), at + 10.0
                )
            self.store.save_run(known.run)
            for attempt in known.attempts:
                self.store.save_attempt(run.id, attempt)
            grown.append(known)
        return grown

    def _happen(self, known: Known, what: str, spec: Spec, now: float) -> None:
        run, place = known.run, int(now)
        match what:
            case "queue":
                known.run = lifecycle.queue(run, spec, now=now, place=place)
            case "retry":
                known.run = lifecycle.retry(run, now=now, place=place)
            case "start":
                known.run, attempt = lifecycle.start(run, now=now, host="h", user="u", boot_id="b")
                known.attempts.append(attempt)
            case "withdraw":
                known.run = lifecycle.withdraw(run, known.last, reason=lifecycle.STOPPED)
            case "stop":
                known.run = lifecycle.stop(run)
            case "after-end":
                known.run = lifecycle.queue_after_end(run, spec)
            case "never-ran":
                attempt = known.attempts.pop()
                known.run = lifecycle.never_ran(run, attempt, known.last, now=now)
            case "free":
                known.run = replace(run, batch=None, position=None)
            case _:
                known.run, known.attempts[-1] = lifecycle.end(run, known.attempts[-1], ENDS[what], now=now, place=place)

    def check(self, expected: list[Run]) -> None:
        """The store holds what it would hold if each of the runs were saved by itself."""
        found = self._rows()
        for run in expected:
            self.store.save_run(run)
        assert found == self._rows()

    def _rows(self) -> list[tuple[object, ...]]:
        runs = self.connection.execute("SELECT * FROM runs ORDER BY key").fetchall()
        return runs + self.connection.execute("SELECT * FROM trial_counts WHERE runs > 0 ORDER BY status").fetchall()


@contextmanager
def world() -> Iterator[World]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, "memory", lambda: None)
    try:
        yield World(connection)
    finally:
        connection.close()


def when(runs: list[Known], holds: Callable[[Run], bool], becomes: Callable[[Known], Run]) -> list[Run]:
    """The runs, and in place of those of which it holds what they become."""
    return [becomes(known) if holds(known.run) else known.run for known in runs]


def is_ready(run: Run) -> bool:
    """Whether it can be queued."""
    return run.status is Status.STAGED or run.status in ENDED


@given(HISTORIES, st.integers(0, 3))
def test_queued(histories: list[list[Step]], setup: int) -> None:
    with world() as has:
        runs = has.grow(histories)
        batch = replace(has.batch, spec=Spec(setup=has.setups[setup], flags={}))
        has.store.save_run(batch)
        places = [(number + 3, known.run.id) for number, known in enumerate(runs) if is_ready(known.run)]
        changed: dict[str, Flags] = {run_id: {"x": "changed"} for _, run_id in places[::2]}
        has.store.set_flags((dump(flags), flags_key(flags), run_id) for run_id, flags in changed.items())
        has.store.queue_trials(batch, places, NOW, first=100)
        at = {run_id: position for position, run_id in places}

        def queued(known: Known) -> Run:
            position = at[known.run.id]
            spec = Spec(setup=has.setups[setup], flags=changed.get(known.run.id, known.run.spec.flags))
            waiting = lifecycle.queue(known.run, spec, now=NOW, place=100 + position)
            return replace(waiting, batch=BATCH, position=position)

        has.check(when(runs, is_ready, queued))


@given(HISTORIES)
def test_staged_ones_of_a_batch_queued(histories: list[list[Step]]) -> None:
    def is_chosen(run: Run) -> bool:
        return run.status is Status.STAGED and run.batch is not None

    with world() as has:
        runs = has.grow(histories)
        first = has.store.next_place() + 1
        chosen = has.store.queue_staged(BATCH, NOW)
        assert chosen == [known.run.id for known in runs if is_chosen(known.run)]
        has.check(
            when(
                runs,
                is_chosen,
                lambda known: lifecycle.queue(
                    known.run, known.run.spec, now=NOW, place=first + (known.run.position or 0)
                ),
            )
        )


@given(HISTORIES)
@example([[(0, math.nan, 0), (0, 1, 0), (2, 1, 0), (0, math.nan, 2)]])  # the same flags, another setup
@example([[(0, 1, 0), (0, 1, 0), (2, 1, 0), (0, 1, 1)]])  # another operation
@example([[(0, 1, 0), (0, 1, 0), (1, 1, 0), (0, 1.0, 0)]])  # it waits for its own end
def test_withdrawn(histories: list[list[Step]]) -> None:
    def waits(run: Run) -> bool:
        return run.status is Status.PENDING or run.next_spec is not None

    def withdrawn(known: Known) -> Run:
        if known.run.status is Status.RUNNING:
            return replace(known.run, next_spec=None)
        return lifecycle.withdraw(known.run, known.last, reason=lifecycle.STOPPED)

    with world() as has:
        runs = has.grow(histories)
        last = has.store.last_event()
        changed = has.store.withdraw_each([known.run.id for known in runs if waits(known.run)], NOW)
        expected = when(runs, waits, withdrawn)
        told = {run_id: event.status for event in has.store.events(last, 100) for run_id in event.runs}
        assert told == {after.id: after.status for known, after in zip(runs, expected, strict=True) if waits(known.run)}
        differ = {
            after.id
            for known, after in zip(runs, expected, strict=True)
            if not lifecycle.shows_same_flags(known.run, after)
        }
        assert differ == {after.id for before, after in changed if not lifecycle.shows_same_flags(before, after)}
        has.check(expected)


@given(HISTORIES)
def test_trashed_freed_and_erased(histories: list[list[Step]]) -> None:
    with world() as has:
        runs = has.grow(histories)
        half = [known.run.id for known in runs[::2]]
        has.store.free_trials(BATCH, half)
        has.check(when(runs, lambda run: run.id in half, lambda known: replace(known.run, batch=None, position=None)))
    with world() as has:
        runs = has.grow(histories)
        has.store.trash_runs([known.run.id for known in runs if is_ready(known.run)], NOW)
        has.check(when(runs, is_ready, lambda known: replace(known.run, deleted=NOW, batch=None, position=None)))
    with world() as has:
        runs = has.grow(histories)
        has.store.delete_runs([known.run.id for known in runs])
        left = [known.run for known in runs if known.run.attempts]
        assert [run.id for run in map(has.store.find, (known.run.id for known in runs)) if run] == [
            run.id for run in left
        ]
        has.check(left)


@given(HISTORIES, st.integers(0, 3))
def test_given_the_setup_of_their_batch(histories: list[list[Step]], setup: int) -> None:
    with world() as has:
        runs = has.grow(histories)
        batch = replace(has.batch, spec=Spec(setup=has.setups[setup], flags={}))
        has.store.save_run(batch)

        def renewed(spec: Spec) -> Spec:
            clean = has.setups[setup].clean or spec.setup.clean
            return replace(spec, setup=replace(has.setups[setup], clean=clean))

        def after(known: Known) -> Run:
            if known.run.next_spec is not None:
                return replace(known.run, next_spec=renewed(known.run.next_spec))
            return replace(known.run, spec=renewed(known.run.spec))

        def is_chosen(run: Run) -> bool:
            starts = run.status in (Status.STAGED, Status.PENDING) or run.next_spec is not None
            return run.batch is not None and starts

        has.store.renew_waiting(batch)
        has.check(when(runs, is_chosen, after))


@given(HISTORIES)
def test_tried_no_more_and_anew(histories: list[list[Step]]) -> None:
    with world() as has:
        runs = has.grow(histories)
        has.store.retry_no_more(BATCH)
        running = [known.run for known in runs if known.run.batch and known.run.status is Status.RUNNING]
        chosen = {run.id for run in running}
        given_up = when(
            runs,
            lambda run: run.id in chosen,
            lambda known: replace(known.run, retried=max(known.run.retried, RETRIES)),
        )
        has.check(given_up)
        has.store.retry_anew(BATCH)
        has.check(
            [
                replace(run, retried=0) if run.batch and run.status in (Status.RUNNING, Status.PENDING) else run
                for run in given_up
            ]
        )
