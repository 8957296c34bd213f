"""Kept answers are those of the present version, or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rund.handlers import kept
from rund.handlers.kept import KeptAnswers
from rund.protocol.encoding import Packed

STEPS = st.lists(st.one_of(st.just("commit"), st.tuples(st.sampled_from(b"abc"), st.integers(0, 3))), max_size=50)


class Store:
    """A store of one number."""

    def __init__(self) -> None:
        self.number: int | None = 0

    def version(self) -> int | None:
        return self.number


@given(steps=STEPS)
def test_an_answer_is_never_older_than_the_last_commit(steps: list[str | tuple[int, int]]) -> None:
    store = Store()
    answers = KeptAnswers(store.version)
    number = 0
    for step in steps:
        if isinstance(step, str):
            number += 1
            store.number = number
            continue
        name, commits = step
        asked = bytes([name])
        found = answers.find(asked)
        if found is not None:
            assert found.data == b"%d" % number
            continue
        version = answers.version()
        number += commits  # others commit before it is read, and it is read before it is kept
        store.number = number
        answers.keep(asked, version, Packed(b"%d" % number))
        if not commits:
            assert answers.find(asked) is not None


def test_nothing_is_kept_of_what_has_no_name_or_version_or_is_large() -> None:
    store = Store()
    answers = KeptAnswers(store.version)
    answers.keep(b"", 0, Packed(b"x"))
    assert answers.find(b"") is None
    answers.keep(b"a", None, Packed(b"x"))
    assert answers.find(b"a") is None
    answers.keep(b"a", 0, Packed(b"x" * (kept._LONGEST + 1)))
    assert answers.find(b"a") is None
    answers.keep(b"a", 0, Packed(b"x"))
    store.number = None
    assert answers.find(b"a") is None


def test_what_is_kept_is_bounded() -> None:
    answers = KeptAnswers(Store().version)
    for number in range(1000):
        answers.keep(b"%d" % number, 0, Packed(b"x" * kept._LONGEST))
        assert answers.find(b"%d" % number) is not None
        assert sum(len(each.data) for each in answers._answers.values()) <= kept._MOST + kept._LONGEST
