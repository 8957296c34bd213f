"""A batch's status follows from its trials: the first that holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.model.batch import batch_status
from rund.model.status import Status

S = Status


@pytest.mark.parametrize(
    ("have", "stopped", "status"),
    [
        ({S.PENDING, S.ERROR}, True, S.RUNNING),
        ({S.RUNNING, S.STAGED}, False, S.RUNNING),
        ({S.COMPLETED, S.TERMINATED}, True, S.TERMINATED),
        ({S.STAGED}, True, S.TERMINATED),
        ({S.COMPLETED}, True, S.COMPLETED),
        ({S.STAGED, S.ERROR}, False, S.STAGED),
        ({S.COMPLETED, S.ERROR}, False, S.ERROR),
        ({S.COMPLETED, S.TERMINATED}, False, S.ERROR),
        ({S.COMPLETED}, False, S.COMPLETED),
        (set(), False, S.COMPLETED),
        (set(), True, S.COMPLETED),
    ],
)
def test_the_first_that_holds(have: set[Status], stopped: bool, status: Status) -> None:
    assert batch_status(dict.fromkeys(have, 2), stopped=stopped) is status


@given(st.dictionaries(st.sampled_from(Status), st.integers(0, 3)), st.booleans())
def test_a_batch_is_never_pending_and_no_count_of_none_matters(counts: dict[Status, int], stopped: bool) -> None:
    status = batch_status(counts, stopped=stopped)
    assert status is not Status.PENDING
    assert status is batch_status({each: number for each, number in counts.items() if number}, stopped=stopped)
