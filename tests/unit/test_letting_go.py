"""What a large message has is freed in steps, and what others have of it is theirs."""

from __future__ import annotations

import copy
import weakref
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rund.server.letting_go import let_go

VALUES = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=30,
)


class Seen(list[Any]):
    """A list that can be seen to be gone."""


def test_it_is_freed_in_steps() -> None:
    last = Seen()
    gone = weakref.ref(last)
    values: list[Any] = [{"x": [[] for _ in range(20_000)], "y": [last]}]
    del last
    steps = 0
    for _ in let_go(values):
        steps += 1
        assert len(values) < 20_003
    assert steps >= 4
    assert gone() is None


def test_a_long_list_is_emptied_while_it_is_let_go() -> None:
    inner: list[Any] = [[] for _ in range(10_000)]
    seen = Seen()
    gone = weakref.ref(seen)
    inner[-1] = seen
    del seen
    values: list[Any] = [inner]
    del inner
    steps = let_go(values)
    next(steps)
    assert gone() is None, "the last is freed at the first step, and not with all others"
    assert sum(1 for _ in steps) >= 1


@given(VALUES, st.data())
def test_what_somebody_else_has_is_left_as_it_is(value: Any, data: st.DataObject) -> None:
    values = [copy.deepcopy(value)]  # Hypothesis keeps what it has drawn
    inside: list[Any] = []
    left = list(values)
    while left:
        each = left.pop()
        inside.append(each)
        left.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else [])
    kept = inside[data.draw(st.integers(0, len(inside) - 1))]
    before = copy.deepcopy(kept)
    inside.clear()
    del each
    for _ in let_go(values):
        pass
    assert kept == before
