"""Model and daemon side by side: whatever users do with runs and batches, both come to the same.

Longer, and with other choices each time: ``RUND_MODEL_EXAMPLES=200 RUND_MODEL_STEPS=40 pytest -s --timeout 0
tests/process/test_batch_model.py``; with ``RUND_MODEL_SHRINK=1`` what fails is made smaller, which takes a while.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.process.batch_model import ModelBatch, ModelRun, Values
from tests.process.conftest import Machine
from tests.process.side_by_side import SCRIPT, SLOTS, Options, SideBySide

EXAMPLES = os.environ.get("RUND_MODEL_EXAMPLES")
STEPS = int(os.environ.get("RUND_MODEL_STEPS", "20"))
VALUES: st.SearchStrategy[Values] = st.lists(st.sampled_from(["1", "2", "3", "1.0"]), min_size=1, max_size=3).map(tuple)
ONE = st.sampled_from(["1", "2", "3", "1.0"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "random_seed": st.integers(0, 2),
        "max_trials": st.integers(1, 6) | st.just("all"),
        "jobs": st.sampled_from([1, "all"]),
        "needed": st.just(True),
        "stage": st.just(True),
    },
)
CRASH = st.sampled_from([False, False, False, True])


class Steps(RuleBasedStateMachine):
    """What users do."""

    machine: Machine
    runs: Bundle[ModelRun] = Bundle("runs")
    batches: Bundle[ModelBatch] = Bundle("batches")

    def __init__(self) -> None:
        super().__init__()
        self.both = SideBySide(self.machine)

    def teardown(self) -> None:
        self.both.clear()

    @initialize(target=batches, xs=VALUES, ys=VALUES, seed=st.integers(0, 2), stage=st.booleans())
    def first_batch(self, xs: Values, ys: Values, seed: int, stage: bool) -> ModelBatch:
        return self.both.make_batch(xs, ys, {"random_seed": seed, "stage": stage})

    @rule(
        target=batches,
        xs=VALUES,
        ys=VALUES,
        seed=st.integers(0, 2),
        number=st.integers(1, 6),
        stage=st.booleans(),
        optimizer=st.sampled_from(["grid", "random"]),
    )
    def sampled_batch(self, xs: Values, ys: Values, seed: int, number: int, stage: bool, optimizer: str) -> Any:
        if len(self.both.model.batches) > 2:
            return multiple()
        options: Options = {"random_seed": seed, "stage": stage, "max_trials": number, "optimizer": optimizer}
        return self.both.make_batch(xs, ys, options)

    @rule(target=runs, x=ONE, y=ONE, stage=st.booleans())
    def single_run(self, x: str, y: str, stage: bool) -> ModelRun:
        return self.both.make_run((x, y), stage=stage)

    @rule(target=runs, batch=batches)
    def name_trials(self, batch: ModelBatch) -> Any:
        """From now on other rules know these runs by name."""
        return multiple(*(run for run in self.both.model.runs if run.made_by is batch))

    @rule(batch=batches, xs=st.none() | VALUES, ys=st.none() | VALUES, options=OPTIONS, crash=CRASH)
    def restart_batch(
        self, batch: ModelBatch, xs: Values | None, ys: Values | None, options: Options, crash: bool
    ) -> None:
        self.both.restart_batch(batch, xs, ys, options)
        self.both.come_back(crash=crash)

    @rule(batch=batches, xs=st.none() | VALUES, needed=st.booleans(), crash=CRASH)
    def stop_and_restart_batch_at_once(self, batch: ModelBatch, xs: Values | None, needed: bool, crash: bool) -> None:
        self.both.stop(batch)
        self.both.model.end_stopped()
        self.both.restart_batch(batch, xs, None, {"needed": needed})
        self.both.come_back(crash=crash)
        self.both.let_go_when_stopped()

    @rule(run=runs, x=st.none() | ONE, y=st.none() | ONE, needed=st.booleans(), crash=CRASH)
    def restart_single(self, run: ModelRun, x: str | None, y: str | None, needed: bool, crash: bool) -> None:
        self.both.restart_single(run, x, y, needed=needed)
        self.both.come_back(crash=crash)

    @rule(run=runs, x=st.none() | ONE, batch=batches, crash=CRASH)
    def stop_and_restart_single_and_its_batch_at_once(
        self, run: ModelRun, x: str | None, batch: ModelBatch, crash: bool
    ) -> None:
        self.both.stop(run)
        self.both.model.end_stopped()
        self.both.restart_single(run, x, None, needed=False)
        self.both.come_back(crash=crash)
        self.both.let_go_when_stopped()

    @rule(named=runs | batches, crash=CRASH)
    def start(self, named: ModelRun | ModelBatch, crash: bool) -> None:
        self.both.start(named)
        self.both.come_back(crash=crash)

    @rule(named=runs | batches, crash=CRASH)
    def stop(self, named: ModelRun | ModelBatch, crash: bool) -> None:
        self.both.stop(named)
        self.both.come_back(crash=crash)

    @rule(named=st.lists(runs, min_size=1, max_size=2, unique_by=id))
    def delete_runs(self, named: list[ModelRun]) -> None:
        self.both.delete(named)

    @rule(batch=batches, with_trials=st.booleans())
    def delete_batch(self, batch: ModelBatch, with_trials: bool) -> None:
        self.both.delete([], [batch], with_trials=with_trials)

    @rule(named=runs | batches)
    def restore(self, named: ModelRun | ModelBatch) -> None:
        self.both.restore(named)

    @rule(batch=st.none() | batches, paused=st.booleans())
    def pause(self, batch: ModelBatch | None, paused: bool) -> None:
        self.both.pause(batch, paused=paused)

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.both.hold(held=held)

    @rule()
    def crash(self) -> None:
        self.both.come_back(crash=True)

    @invariant()
    def both_come_to_the_same(self) -> None:
        self.both.compare()


@pytest.mark.timeout(0 if EXAMPLES else 900)
def test_model_and_daemon_come_to_the_same_whatever_users_do(machine: Machine) -> None:
    machine.script("held.py", SCRIPT)
    machine.start(RUND_SLOTS=str(SLOTS))
    steps = type("Steps", (Steps,), {"machine": machine})
    few = settings(
        max_examples=int(EXAMPLES or 5),
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=EXAMPLES is None,
        database=None,
        phases=(Phase.generate, *([Phase.shrink] if "RUND_MODEL_SHRINK" in os.environ else [])),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    before = SideBySide.compared
    run_state_machine_as_test(steps, settings=few)
    print(f"{SideBySide.compared - before} steps compared")
