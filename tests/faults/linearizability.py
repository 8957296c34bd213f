"""Whether a history of concurrent operations can be explained by one order of them.

The search is that of Wing and Gong, with Lowe's memory of what was tried.  A history is linearizable if its operations
can be put in one order such that

- an operation that was answered before another was asked comes before it;
- each answer is what a sequential specification allows in that order.

The specification is a function ``step(state, operation)`` that gives every state that the operation may lead to with
the answer that it got; none, if that answer cannot be.  States are hashable.  An operation without an answer that was
last seen at ``over`` took effect before that or not at all: its step gives the unchanged state too.  If nobody knows
when it was over (`math.inf`) it may also be left out of the order.

Rules of the search: only operations that were asked before the first answer among those not in the order yet can come
next.  A set of operations in the order, with the state that they led to, is tried once: what follows does not depend on
how it was come to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Call = TypeVar("Call")
Answer = TypeVar("Answer")
State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[Call, Answer]):
    """One call of a client.  Times are of one clock, whatever its unit."""

    call: Call
    answer: Answer | None  # None: it never came
    asked: float  # before it can take effect
    over: float  # since then it can take effect no more; with an answer: when that came


Step = Callable[[State, Operation[Call, Answer]], Iterable[State]]


class NotLinearizableError(Exception):
    """No order explains the history; ``explained`` is the longest beginning of one that explains a part of it."""

    def __init__(self, explained: list[int], state: Hashable, next_ones: list[int]) -> None:
        super().__init__(
            f"{len(explained)} operations can be explained and lead to {state!r};"
            f" after them none of these can come: {next_ones}"
        )
        self.explained = explained
        self.next_ones = next_ones


def linearize(history: Sequence[Operation[Call, Answer]], initial: State, step: Step[State, Call, Answer]) -> list[int]:
    """An order, by places in ``history``, that explains it.  Raises `NotLinearizableError` if there is none."""
    places = sorted(range(len(history)), key=lambda place: history[place].asked)
    operations = [history[place] for place in places]
    must = sum(1 << at for at, operation in enumerate(operations) if operation.over != math.inf)
    order: list[int] = []
    longest: tuple[list[int], State] = ([], initial)
    tried: set[tuple[int, State]] = {(0, initial)}
    stack = [(0, initial, _moves(operations, 0, initial, step))]
    while stack:
        done, _, moves = stack[-1]
        if done & must == must:
            return [places[at] for at in order]
        for at, state in moves:
            after = done | 1 << at
            if (after, state) not in tried:
                tried.add((after, state))
                order.append(at)
                stack.append((after, state, _moves(operations, after, state, step)))
                if len(order) > len(longest[0]):
                    longest = (order.copy(), state)
                break
        else:
            stack.pop()
            if order:
                order.pop()
    explained, state = longest
    done = sum(1 << at for at in explained)
    left = [places[at] for at in _candidates(operations, done)]
    raise NotLinearizableError([places[at] for at in explained], state, left)


def _moves(
    operations: Sequence[Operation[Call, Answer]], done: int, state: State, step: Step[State, Call, Answer]
) -> Iterator[tuple[int, State]]:
    """What can come after ``done``: the place of an operation, and a state that it leads to."""
    for at in sorted(_candidates(operations, done), key=lambda at: operations[at].over):
        for following in step(state, operations[at]):
            yield at, following


def _candidates(operations: Sequence[Operation[Call, Answer]], done: int) -> list[int]:
    """Those not in ``done`` that nothing else of what is not in it must come before; ``operations`` are as asked."""
    found: list[int] = []
    first_over = math.inf
    for at in range(_lowest_clear_bit(done), len(operations)):
        if done >> at & 1:
            continue
        if operations[at].asked > first_over:
            break
        found.append(at)
        first_over = min(first_over, operations[at].over)
    return found


def _lowest_clear_bit(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1
