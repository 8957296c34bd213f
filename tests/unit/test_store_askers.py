"""Whose turn it is to read: the daemon's own, then who has used least lately."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.store.askers import Turns, Use


def used(seconds: float, at: float = 0.0) -> Use:
    use = Use(at)
    use.add(seconds, at)
    return use


def test_who_has_used_least_goes_first_and_the_daemon_before_all() -> None:
    turns: Turns[str] = Turns(9)
    heavy, light = used(2.0), used(0.5)
    for number in range(3):
        turns.add(heavy, f"heavy {number}")
    turns.add(light, "light")
    turns.add(Use(0.0), "new")
    turns.add(None, "own")
    assert [turns.take() for _ in range(7)] == ["own", "new", "light", "heavy 0", "heavy 1", "heavy 2", None]


def test_what_was_used_long_ago_counts_little() -> None:
    turns: Turns[str] = Turns(9)
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
    turns: Turns[str] = Turns(9)
    turns.add(used(8.0), "heavy")
    other = Use(0.0)
    now, taken = 0.0, []
    while "heavy" not in taken:
        if fresh:  # each time one that was never there
            other = Use(now)
        turns.add(other, "other")
        now += 0.1
        taken.append(turns.take())
        turns.end(other if taken[-1] == "other" else None)
        other.add(0.1, now)  # another client uses a reader all the time
        assert now < 60.0
    assert "other" in taken


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 10.0))))
def test_each_has_its_turn_once_and_those_of_one_asker_in_order(asked: list[tuple[int, float]]) -> None:
    uses = [None, *(Use(0.0) for _ in range(4))]
    turns: Turns[tuple[int, int]] = Turns(9)
    for number, (who, _) in enumerate(asked):
        turns.add(uses[who], (who, number))
    taken = []
    for now, (_, seconds) in enumerate(asked):
        item = turns.take()
        assert item is not None
        taken.append(item)
        use = uses[item[0]]
        turns.end(use)
        if use is not None:
            use.add(seconds, float(now))
    assert sorted(number for _, number in taken) == list(range(len(asked)))
    for who in range(5):
        own = [number for each, number in taken if each == who]
        assert own == sorted(own)


class Threads:
    """Takes turns as so many threads do, each woken once for each item, and again where `Turns.end` says so."""

    def __init__(self, number: int) -> None:
        self.turns: Turns[tuple[int, int]] = Turns(max(number - 1, 1))
        self.number = number
        self.wakes = 0
        self.reading: list[tuple[int, int]] = []

    def run(self) -> None:
        while self.wakes and len(self.reading) < self.number:
            self.wakes -= 1
            item = self.turns.take()
            if item is not None:
                self.reading.append(item)


@given(st.integers(1, 4), st.lists(st.integers(0, 3) | st.none(), max_size=40), st.randoms())
def test_one_asker_leaves_a_turn_to_others_and_each_has_its_turn_at_last(
    number: int, asked: list[int | None], random: Random
) -> None:
    uses = [Use(0.0) for _ in range(4)]
    threads = Threads(number)
    waiting: list[tuple[int, int]] = []
    left = list(enumerate(asked))
    while left or threads.reading:
        if left and (not threads.reading or random.random() < 0.7):
            at, who = left.pop(0)
            item = (-1 if who is None else who, at)
            threads.turns.add(None if who is None else uses[who], item)
            waiting.append(item)
            threads.wakes += 1
        elif threads.reading:
            item = threads.reading.pop(random.randrange(len(threads.reading)))
            waiting.remove(item)
            threads.wakes += threads.turns.end(None if item[0] < 0 else uses[item[0]])
        threads.run()
        reading = [who for who, _ in threads.reading]
        for who in range(4):
            assert reading.count(who) <= max(number - 1, 1)
        if len(reading) < number:
            for who, at in waiting:
                assert (who, at) in threads.reading or reading.count(who) == max(number - 1, 1), "it could be read"
    assert not waiting
