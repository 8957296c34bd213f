"""Flag values and their text: what is written reads back as the same value."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rund.model.values import (
    MAX_INTEGER,
    MIN_INTEGER,
    FlagValue,
    ValueSyntaxError,
    format_value,
    read_value,
    trial_key,
    value_key,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats()
    | st.text()
    | st.text("\"'\\[], nrtxabc\n.-+e0159", max_size=8)
    | st.sampled_from(["null", "true", "inf", "-nan", "1e5", "0x10", "1_000", "range[1:3]", " a", "a ", ".", "-", "+1"])
)
VALUES = st.recursive(SCALARS, lambda items: st.lists(items, max_size=4), max_leaves=12)


@given(VALUES)
@example("a\x0bb")
@example("\\x")
@example(["a[b", "c]d", 'q"', "it's"])
@example("\u2028\x85\x1c")
@example("١٢٣")
def test_what_is_written_reads_back_as_the_same_value(value: FlagValue):
    assert value_key(read_value(format_value(value))) == value_key(value)


@given(VALUES, VALUES)
def test_two_values_have_one_text_only_if_they_are_the_same(one: FlagValue, other: FlagValue):
    assert (format_value(one) == format_value(other)) == (value_key(one) == value_key(other))


@given(st.text())
@example("[" * 5000)
@example('"\\')
@example("[,]")
@example("[1 2]")
def test_any_text_is_a_value_or_a_syntax_error(text: str):
    try:
        value = read_value(text)
    except ValueSyntaxError:
        return
    assert value_key(read_value(format_value(value))) == value_key(value)


@given(st.dictionaries(st.text(), SCALARS, max_size=4), st.dictionaries(st.text(), SCALARS, max_size=4))
def test_flags_have_one_key_only_if_names_and_typed_values_are_the_same(one: dict, other: dict):
    def typed(flags: dict) -> set[tuple[str, str]]:
        return {(name, value_key(value)) for name, value in flags.items()}

    assert (trial_key(one) == trial_key(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ("3", 3),
        ("-0", 0),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("inf", math.inf),
        ("-0.0", -0.0),
        ("yes", "yes"),
        ("'3'", "3"),
        ("[1, 2.0, a b, 'c,d']", [1, 2.0, "a b", "c,d"]),
        ("[[1,2],[]]", [[1, 2], []]),
        ("", ""),
        ("1_000", "1_000"),
    ],
)
def test_text_is_read_as_the_value_it_spells(text: str, value: FlagValue):
    assert value_key(read_value(text)) == value_key(value)


@pytest.mark.parametrize("text", ["[1, 2", '"abc', "[1] 2", "[,]", str(2**64), str(-(2**63) - 1), "[1,,2]", "[" * 30])
def test_text_that_spells_no_value_is_refused(text: str):
    with pytest.raises(ValueSyntaxError):
        read_value(text)


def test_one_one_point_zero_true_and_its_text_are_four_values():
    assert len({value_key(value) for value in (1, 1.0, True, "1")}) == 4
    assert value_key(0.0) != value_key(-0.0)
    assert value_key(math.nan) == value_key(-math.nan)
