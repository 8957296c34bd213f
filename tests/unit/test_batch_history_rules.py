"""The sequential specification of a batch's histories: it lets pass what can be, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.batch_history import (
    Answer,
    Batch,
    Call,
    Delete,
    Deleted,
    Event,
    Read,
    Refused,
    Restart,
    Restarted,
    Seen,
    State,
    Trial,
)
from tests.faults.linearizability import NotLinearizableError, Operation, linearize

INITIAL = State(
    generation=1,
    xs=(1, 2),
    ys=(1,),
    listed=(Trial("a", (1, 1)), Trial("b", (2, 1))),
    live=frozenset("ab"),
)
# Narrowed, then widened again, then b deleted, and made anew.
LISTS = {1: ("a", "b"), 2: ("a",), 3: ("a", "b"), 4: ("a",), 5: ("a", "c")}


def plan(generation: int, **done: tuple[str, ...]) -> Restarted:
    empty: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("created", "restarted", "skipped", "kept", "taken_back", "orphaned", "deleted"), ()
    )
    return Restarted(generation=generation, trials=LISTS[generation], **(empty | done))


def seen(generation: int, *live: str, keys: tuple[tuple[int, int], ...] | None = None) -> Seen:
    return Seen(generation=generation, trials=LISTS[generation], keys=keys, live=live)


NARROW, WIDE = Restart(xs=(1,)), Restart(xs=(1, 2), needed=True)
STORY: list[tuple[Call, Answer | None]] = [
    (Read(), seen(1, "b", keys=((1, 1), (2, 1)))),
    (NARROW, Refused(code="busy")),
    (Read(), seen(1)),
    (NARROW, plan(2, restarted=("a",), orphaned=("b",))),
    (Read(), seen(2, "a", keys=((1, 1),))),
    (WIDE, plan(3, kept=("a",), skipped=("b",), taken_back=("b",))),
    (Delete(ids=("a",)), Refused(code="busy")),
    (Delete(ids=("b",)), Deleted()),
    (Delete(ids=("b",)), Refused(code="not-found")),
    (Read(), Seen(generation=4, trials=("a",), live=1)),
    (WIDE, plan(5, kept=("a",), created=("c",))),
    (Read(), seen(5, "c", keys=((1, 1), (2, 1)))),
]


def in_turn(story: list[tuple[Call, Answer | None]]) -> list[Event]:
    return [
        Operation(call=call, answer=answer, asked=2.0 * at, over=2.0 * at + 1)
        for at, (call, answer) in enumerate(story)
    ]


def explained(story: list[tuple[Call, Answer | None]], lists: dict[int, tuple[str, ...]] = LISTS) -> int:
    """How many of the story's answers can be."""
    try:
        return len(linearize(in_turn(story), INITIAL, Batch(lists=lists).step))
    except NotLinearizableError as error:
        return len(error.explained)


def test_what_a_batch_does_can_be() -> None:
    assert explained(STORY) == len(STORY)


@pytest.mark.parametrize("at", [3, 5, 7, 10])
def test_a_change_whose_answer_never_came_may_have_been_made(at: int) -> None:
    story = STORY.copy()
    story[at] = (story[at][0], None)
    assert explained(story) == len(STORY)


@pytest.mark.parametrize("at", [0, 2, 4, 9, 11])
def test_a_change_whose_answer_never_came_may_not_have_been_made(at: int) -> None:
    story = STORY.copy()
    story.insert(at, (Restart(xs=(1, 2)), None))
    assert explained(story) == len(story)


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        (0, seen(2, "a")),  # of a list that is not committed yet
        (4, seen(1)),  # of a list that is not the batch's any more
        (0, Seen(generation=1, trials=("b", "a"), live=())),  # in another order
        (0, seen(1, keys=((1, 1), (2, 2)))),  # with other flags
        (1, seen(1)),  # of another kind
        (4, seen(2, "a", "x")),  # something lives that is not listed
        (6, Deleted()),  # it is still listed afterwards
        (7, Refused(code="busy")),  # it has been seen at rest
        (7, Refused(code="not-found")),  # it is there
        (8, Deleted()),  # twice
        (9, Seen(generation=4, trials=("a",), live=2)),  # only one is listed
        (3, plan(3, restarted=("a",), orphaned=("b",))),  # a generation left out
        (3, plan(2, restarted=("a",))),  # b is told nowhere
        (3, plan(2, restarted=("a",), deleted=("b",))),  # b has run
        (3, plan(2, skipped=("a",), orphaned=("b",))),  # all is run again
        (5, plan(3, kept=("a",), skipped=("b",))),  # b was an orphan
        (5, plan(3, kept=("a",), restarted=("b",), taken_back=("b",))),  # b is completed
        (5, Refused(code="busy")),  # only what is needed was asked for
        (10, plan(5, skipped=("a",), created=("a", "c"))),  # a was there
    ],
)
def test_an_answer_that_cannot_be_is_found(at: int, answer: Answer) -> None:
    story = STORY.copy()
    story[at] = (story[at][0], answer)
    assert explained(story) <= max(at, 9)
    assert explained(story) < len(story)


@pytest.mark.parametrize(
    "lists",
    [
        LISTS | {3: ("a", "x")},  # a new trial, though an orphan was there
        LISTS | {2: ("x",)},  # another id for the same flags
        LISTS | {5: ("a", "b")},  # out of the trash
        LISTS | {3: ("b", "a")},  # ids at the places of others
    ],
)
def test_ids_stay_with_their_flags(lists: dict[int, tuple[str, ...]]) -> None:
    story = [
        (call, replace(answer, trials=lists[answer.generation]) if isinstance(answer, Restarted | Seen) else answer)
        for call, answer in STORY
    ]
    unknown = [(call, None if isinstance(call, Restart) else answer) for call, answer in story]
    assert explained(story, lists) < len(STORY)
    assert explained(unknown, lists) < len(STORY)
