"""The checker of histories: of a register and of a counter, where it is known what can be."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.linearizability import NotLinearizableError, Operation, linearize

Register = Operation[tuple[str, int], int]


def register(state: int, operation: Register) -> Iterable[int]:
    """``write`` answers 0, ``read`` the value."""
    kind, value = operation.call
    if operation.answer is None:
        return [state, value] if kind == "write" else [state]
    if kind == "write":
        return [value]
    return [state] if operation.answer == state else []


def write(value: int, asked: float, over: float, *, known: bool = True) -> Register:
    return Operation(call=("write", value), answer=0 if known else None, asked=asked, over=over)


def read(answer: int, asked: float, over: float) -> Register:
    return Operation(call=("read", 0), answer=answer, asked=asked, over=over)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [read(0, 0, 1)],
        [write(1, 0, 1), read(1, 2, 3)],
        [write(1, 0, 3), read(0, 1, 2)],
        [write(1, 0, 3), read(1, 1, 2)],
        [write(1, 0, 5), read(0, 1, 2), read(1, 3, 4)],
        [write(1, 0, 5), write(2, 0, 5), read(2, 6, 7), read(2, 8, 9)],
        [write(1, 0, 1, known=False), read(0, 2, 3)],
        [write(1, 0, 1, known=False), read(1, 2, 3)],
        [write(1, 0, math.inf, known=False), read(0, 2, 3), read(1, 4, 5)],
        [write(1, 0, math.inf, known=False), write(2, 1, 2), read(2, 3, 4), read(1, 5, 6)],
        [write(1, 0, 1), read(1, 1, 2), read(1, 1, 2)],
    ],
)
def test_histories_that_one_order_explains(history: list[Register]) -> None:
    order = linearize(history, 0, register)
    required = {at for at, operation in enumerate(history) if operation.over != math.inf}
    assert required <= set(order)
    for before, after in pairwise(order):
        assert history[before].asked <= history[after].over


@pytest.mark.parametrize(
    "history",
    [
        [read(1, 0, 1)],
        [write(1, 0, 1), read(0, 2, 3)],
        [write(1, 0, 5), read(1, 1, 2), read(0, 3, 4)],
        [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)],
        [write(1, 0, 5), write(2, 0, 5), read(2, 6, 7), read(1, 8, 9)],
        [write(1, 0, 1, known=False), read(0, 2, 3), read(1, 4, 5)],
        [write(1, 0, math.inf, known=False), read(1, 2, 3), read(0, 4, 5)],
        [read(1, 0, 1), write(1, 2, math.inf, known=False)],
    ],
)
def test_histories_that_no_order_explains(history: list[Register]) -> None:
    with pytest.raises(NotLinearizableError):
        linearize(history, 0, register)


def test_the_error_tells_how_far_the_history_can_be_explained() -> None:
    history = [write(1, 0, 1), read(1, 2, 3), read(7, 4, 5), write(2, 6, 7)]
    with pytest.raises(NotLinearizableError) as caught:
        linearize(history, 0, register)
    assert (caught.value.explained, caught.value.next_ones) == ([0, 1], [2])


@st.composite
def histories(draw: st.DrawFn) -> list[Register]:
    found = []
    for _ in range(draw(st.integers(0, 5))):
        asked = draw(st.integers(0, 8))
        over = draw(st.integers(asked, 9))
        value = draw(st.integers(0, 2))
        if draw(st.booleans()):
            found.append(read(value, asked, over))
        else:
            found.append(write(value, asked, over, known=draw(st.booleans())))
    return found


@given(histories())
def test_it_finds_an_order_exactly_where_trying_all_orders_does(history: list[Register]) -> None:
    try:
        linearize(history, 0, register)
        found = True
    except NotLinearizableError:
        found = False
    assert found == any(explains(order) for order in permutations(history))


def explains(order: tuple[Register, ...]) -> bool:
    if any(late.over < early.asked for at, early in enumerate(order) for late in order[at + 1 :]):
        return False
    states = {0}
    for operation in order:
        states = {following for state in states for following in register(state, operation)}
    return bool(states)


def test_thousands_of_operations_of_eight_clients_are_ordered_at_once() -> None:
    chance = random.Random(5)
    history: list[Operation[str, int]] = []
    free = [0.0] * 8
    for number in range(1, 4001):
        client = chance.randrange(8)
        takes_effect = float(number)
        asked = max(free[client], takes_effect - chance.random() * 6)
        free[client] = over = takes_effect + chance.random() * 6
        if asked > takes_effect:  # its client was not free: nobody asked it
            asked = takes_effect
        history.append(Operation(call="add", answer=number, asked=asked, over=over))
    chance.shuffle(history)

    def counter(state: int, operation: Operation[str, int]) -> Iterable[int]:
        return [state + 1] if operation.answer == state + 1 else []

    order = linearize(history, 0, counter)
    assert [history[at].answer for at in order] == list(range(1, 4001))
