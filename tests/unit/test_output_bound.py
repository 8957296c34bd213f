"""Where an output is cut: within its limit, at whole blocks, and never further than it must be by much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rund.executor.output_bound import BLOCK, dropped_until

LIMITS = st.integers(2**20, 2**50)


@given(written=st.lists(st.integers(0, 2**34), max_size=20), limit=LIMITS)
def test_what_is_kept_is_within_the_limit_and_never_much_less(written: list[int], limit: int) -> None:
    size = dropped = 0
    for more in written:
        size += more
        before, dropped = dropped, dropped_until(size, dropped, limit)
        assert before <= dropped <= size
        assert size - dropped <= limit
        assert dropped == before or size - dropped >= limit - limit // 4
        assert dropped % BLOCK == 0


@given(size=st.integers(0, 2**60))
def test_without_a_limit_all_is_kept(size: int) -> None:
    assert dropped_until(size, 0, 0) == 0
