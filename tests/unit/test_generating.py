"""What is held of generated trials until they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from rund.api.results import LONGEST_LIST
from rund.errors import InvalidError
from rund.handlers import generating
from rund.handlers.generating import Generated, generate_flags, generate_trials
from rund.handlers.preparing import LARGE, LONG, Preparation
from rund.model.batch import Prototype
from rund.model.operation import Operation, OperationKind
from rund.model.run import Setup
from rund.model.space import Choices, Space
from rund.model.values import Flags
from rund.operations.batch_rows import check_rows, rows_to_json

OPERATION = Operation(
    name="true", kind=OperationKind.EXECUTABLE, entry="/bin/true", project_dir="/", cwd="/", target="/bin/true"
)
SETUP = Setup(operation="o", source=None, environment="e", random_seed=1)


def generated(fixed: Flags, **lists: list[str]) -> Generated:
    varying = {name: Choices(values=tuple(values)) for name, values in lists.items()}
    prototype = Prototype(space=Space(fixed=fixed, varying=dict(varying)))
    return generate_flags(prototype, OPERATION, SETUP, force=True)


@pytest.mark.parametrize("fixed", [{"text": "x" * 600}, {}], ids=["what each has", "what varies"])
def test_the_texts_of_all_trials_have_a_bound(monkeypatch: pytest.MonkeyPatch, fixed: Flags) -> None:
    monkeypatch.setattr(generating, "MAX_TEXT", 1300)
    assert len(generated(fixed, a=["1", "2"]).texts) == 2
    with pytest.raises(InvalidError, match="the flags of 3 trials have more than 1,300 characters"):
        generated(fixed, a=["1" * 600, "2" * 600, "3" * 600])


class Noting:
    """Computes at once, and notes how many values are said to be computed."""

    def __init__(self) -> None:
        self.said: list[int] = []

    async def compute(self, values: int, work: Callable[[], Generated]) -> Generated:
        self.said.append(values)
        return work()


def said(prototype: Prototype) -> list[int]:
    """How many values it is said to have, in turn, until its trials have been generated."""
    noting = Noting()
    asyncio.run(generate_trials(cast(Preparation, noting), prototype, OPERATION, SETUP, force=True))
    return noting.said


ROWS = rows_to_json(check_rows([{"n": number} for number in range(800)], "rows"))
NUMBERS = Choices(values=tuple(range(800)))


@pytest.mark.parametrize("length", [4_000, 10_000, 60_000])
@pytest.mark.parametrize("where", ["fixed", "lists", "rows"])
def test_trials_with_much_text_count_as_many_values(where: str, length: int) -> None:
    text = "x" * length
    prototype = {
        "fixed": Prototype(space=Space(fixed={"text": text}, varying={"n": NUMBERS})),
        "lists": Prototype(space=Space(fixed={}, varying={"n": NUMBERS, "text": Choices(values=(text,))})),
        "rows": Prototype(space=Space(fixed={"text": text}, varying={}), rows=ROWS),
    }[where]
    values = said(prototype)
    assert values[0] < LONG
    assert (values[-1] > LONG, values[-1] > LARGE) == (length > 4_000, length > 50_000)
    assert len(values) <= 3


def test_trials_with_little_text_are_generated_once() -> None:
    assert len(said(Prototype(space=Space(fixed={"text": "x"}, varying={"n": NUMBERS})))) == 1


def test_a_dry_run_shows_no_more_text_than_an_answer_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating.REPLY_LIMITS, "message_bytes", 1300)
    trials = generated({}, a=["1" * 600, "2" * 600, "3" * 600])
    assert [flags["a"] for flags in trials.shown([0, 2])] == ["1" * 600, "3" * 600]
    with pytest.raises(InvalidError, match=r"have 1,8\d\d characters, and a dry run shows at most 1,300: give shorter"):
        trials.shown(range(3))


def test_of_trials_that_are_too_many_to_be_shown_none_is_read() -> None:
    unread = ["no JSON"] * (LONGEST_LIST + 1)
    assert len(Generated(texts=unread, keys=[]).shown(range(len(unread)))) == len(unread)
