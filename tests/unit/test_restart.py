"""What a restart of a single run does, for every status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rund.engine.restart import RestartAction, restart_action
from rund.model.run import Run, Setup, Spec
from rund.model.status import Status

SPEC = Spec(setup=Setup(operation="o", source=None, environment="e", random_seed=1), flags={})
RUN = Run(id="0" * 32, operation="a", spec=SPEC, status=Status.STAGED, created=0.0)
A = RestartAction


@pytest.mark.parametrize(
    ("status", "same", "needed", "action"),
    [
        (Status.STAGED, True, True, A.QUEUE),
        (Status.STAGED, False, False, A.QUEUE),
        (Status.PENDING, True, False, A.BUSY),
        (Status.PENDING, True, True, A.KEEP),
        (Status.PENDING, False, True, A.BUSY),
        (Status.RUNNING, True, False, A.BUSY),
        (Status.RUNNING, True, True, A.KEEP),
        (Status.RUNNING, False, True, A.BUSY),
        (Status.COMPLETED, True, False, A.QUEUE),
        (Status.COMPLETED, True, True, A.SKIP),
        (Status.COMPLETED, False, True, A.QUEUE),
        (Status.ERROR, True, True, A.QUEUE),
        (Status.TERMINATED, True, True, A.QUEUE),
    ],
)
def test_action(status: Status, same: bool, needed: bool, action: RestartAction) -> None:
    assert restart_action(replace(RUN, status=status), same_flags=same, needed=needed) is action


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_run_that_is_being_stopped_counts_as_ended(same: bool, needed: bool) -> None:
    run = replace(RUN, status=Status.RUNNING, stopping=True)
    assert restart_action(run, same_flags=same, needed=needed) is A.QUEUE_AFTER_END


def test_a_run_that_waits_for_its_own_end_counts_as_pending() -> None:
    run = replace(RUN, status=Status.RUNNING, stopping=True, next_spec=SPEC)
    assert restart_action(run, same_flags=True, needed=True) is A.KEEP
    assert restart_action(run, same_flags=True, needed=False) is A.BUSY
