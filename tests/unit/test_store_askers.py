"""Whose turn it is to read: the daemon's own, then who has used least lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.store.askers import Turns, Use


def used(seconds: float, at: float = 0.0) -> Use:
    use = Use(at)
    use.add(seconds, at)
    return use


def test_who_has_used_least_goes_first_and_the_daemon_before_all() -> None:
    turns: Turns[str] = Turns()
    heavy, light = used(2.0), used(0.5)
    for number in range(3):
        turns.add(heavy, f"heavy {number}")
    turns.add(light, "light")
    turns.add(Use(0.0), "new")
    turns.add(None, "own")
    assert [turns.take() for _ in range(6)] == ["own", "new", "light", "heavy 0", "heavy 1", "heavy 2"]
    with pytest.raises(IndexError):
        turns.take()


def test_what_was_used_long_ago_counts_little() -> None:
    turns: Turns[str] = Turns()
    turns.add(used(1.0, at=10.0), "lately")
    turns.add(used(100.0, at=0.0), "much, ten seconds ago")
    assert turns.take() == "much, ten seconds ago"
    assert used(1.0, at=1.0).rank - used(1.0, at=0.0).rank == pytest.approx(1.0), "a second halves it"


def test_what_is_used_adds_up() -> None:
    use = used(1.0, at=0.0)
    use.add(1.0, at=1.0)
    # Who is new counts as having used 0.05: half of 1.05 is left, and 1 comes to it.
    assert use.rank == pytest.approx(used(1.475, at=1.0).rank)


@pytest.mark.parametrize("fresh", [False, True])
def test_who_waits_has_a_turn_however_many_others_come(fresh: bool) -> None:
    turns: Turns[str] = Turns()
    turns.add(used(8.0), "heavy")
    other = Use(0.0)
    now, taken = 0.0, []
    while "heavy" not in taken:
        if fresh:  # each time one that was never there
            other = Use(now)
        turns.add(other, "other")
        now += 0.1
        taken.append(turns.take())
        other.add(0.1, now)  # another client uses a reader all the time
        assert now < 60.0
    assert "other" in taken


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 10.0))))
def test_each_has_its_turn_once_and_those_of_one_asker_in_order(asked: list[tuple[int, float]]) -> None:
    uses = [None, *(Use(0.0) for _ in range(4))]
    turns: Turns[tuple[int, int]] = Turns()
    for number, (who, _) in enumerate(asked):
        turns.add(uses[who], (who, number))
    taken = []
    for now, (_, seconds) in enumerate(asked):
        taken.append(turns.take())
        use = uses[taken[-1][0]]
        if use is not None:
            use.add(seconds, float(now))
    assert sorted(number for _, number in taken) == list(range(len(asked)))
    for who in range(5):
        own = [number for each, number in taken if each == who]
        assert own == sorted(own)
