"""The status table: what it has, and that nothing else is possible."""

from __future__ import annotations

import itertools

import pytest

from rund.model.status import ENDED, LIVE, Change, ImpossibleChangeError, Status, ending, next_status, withdrawal

S, C = Status, Change
TABLE = {
    (S.STAGED, C.QUEUE): S.PENDING,
    (S.PENDING, C.START): S.RUNNING,
    (S.PENDING, C.WITHDRAW_TO_STAGED): S.STAGED,
    (S.PENDING, C.WITHDRAW_TO_COMPLETED): S.COMPLETED,
    (S.PENDING, C.WITHDRAW_TO_ERROR): S.ERROR,
    (S.PENDING, C.WITHDRAW_TO_TERMINATED): S.TERMINATED,
    (S.RUNNING, C.NEVER_RAN): S.PENDING,
    (S.RUNNING, C.COMPLETE): S.COMPLETED,
    (S.RUNNING, C.FAIL): S.ERROR,
    (S.RUNNING, C.TERMINATE): S.TERMINATED,
    (S.COMPLETED, C.QUEUE): S.PENDING,
    (S.ERROR, C.QUEUE): S.PENDING,
    (S.TERMINATED, C.QUEUE): S.PENDING,
}


@pytest.mark.parametrize(("status", "change"), list(itertools.product(Status, Change)))
def test_each_pair_has_its_one_answer(status: Status, change: Change) -> None:
    if (status, change) in TABLE:
        assert next_status(status, change) is TABLE[status, change]
    else:
        with pytest.raises(ImpossibleChangeError, match=f"{status} cannot {change}"):
            next_status(status, change)


def test_every_end_has_a_change_that_leads_to_it_and_one_that_leads_back() -> None:
    for status in ENDED:
        assert next_status(Status.RUNNING, ending(status)) is status
        assert next_status(Status.PENDING, withdrawal(status)) is status
    assert next_status(Status.PENDING, withdrawal(None)) is Status.STAGED


def test_a_status_is_live_or_ended_or_staged() -> None:
    assert LIVE | ENDED | {Status.STAGED} == set(Status)
    assert not LIVE & ENDED
