"""Lists and functions, from their text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Passing
from rund.model.space import Choices, FlagSpace, LogUniform, Space, Uniform
from rund.model.values import FlagValue, format_value, value_key
from rund.operations.flag_functions import read_list, read_space
from rund.operations.stored_space import space_from_json, space_to_json


def declared(kind: FlagType, **more) -> FlagDef:
    return FlagDef(name="x", type=kind, declared=True, option="--x", **more)


def hinted(kind: FlagType | None) -> FlagDef:
    return FlagDef(name="x", type=kind, passing=Passing.LITERAL)


FLOAT, INT, STR, BOOL = (declared(kind) for kind in (FlagType.FLOAT, FlagType.INT, FlagType.STR, FlagType.BOOL))
ANY = hinted(None)
INTS = declared(FlagType.INT, nargs="+")


def values(flag: FlagDef, text: str) -> list[str]:
    read = read_space(flag, text)
    assert isinstance(read, Choices)
    assert read.text == text.strip()
    return list(map(value_key, read.values))


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        (ANY, "[1, 2.5, a, true, null, 'b c', \"1\"]", [1, 2.5, "a", True, None, "b c", "1"]),
        (ANY, "[5]", [5]),
        (ANY, " [1,1] ", [1, 1]),
        (ANY, "[[1,2],[3,[4]]]", [[1, 2], [3, [4]]]),
        (ANY, "['[1:2]', a:b, 12:30]", ["[1:2]", "a:b", "12:30"]),
        (ANY, "[localhost:80]", ["localhost:80"]),
        (FLOAT, "[1, 2]", [1.0, 2.0]),
        (FLOAT, "[1, null]", [1.0, None]),
        (FLOAT, "[inf, 1e5]", [float("inf"), 1e5]),
        (STR, "[a, 1e3, null, 'x, y', 007]", ["a", "1e3", "null", "x, y", "007"]),
        (BOOL, "[yes, off, true]", [True, False, True]),
        (hinted(FlagType.FLOAT), "[1, auto]", [1.0, "auto"]),
        (hinted(FlagType.INT), "[1, 2.5]", [1, 2.5]),
        (INTS, "[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        (INTS, "[[1]]", [[1]]),
        (declared(FlagType.STR, nargs="*"), "[[1.50, b], []]", [["1.5", "b"], []]),
        (ANY, "range[1:5]", [1, 2, 3, 4, 5]),
        (ANY, "range[0:1:0.25]", [0.0, 0.25, 0.5, 0.75, 1.0]),
        (ANY, "range[0.1:0.3:0.1]", [0.1, 0.2, 0.3]),
        (ANY, "range[1:4:2]", [1, 3]),
        (ANY, "range[1:1]", [1]),
        (ANY, "range[3:1:-1]", [3, 2, 1]),
        (ANY, "range[1:2.5]", [1.0, 2.0]),
        (ANY, " range[ 1 : 2 ] ", [1, 2]),
        (FLOAT, "range[1:3]", [1.0, 2.0, 3.0]),
        (STR, "range[1:3]", ["1", "2", "3"]),
        (INTS, "range[1:2]", [[1], [2]]),
        (ANY, "linspace[0:1:5]", [0.0, 0.25, 0.5, 0.75, 1.0]),
        (ANY, "linspace[0:10:3]", [0, 5, 10]),
        (ANY, "linspace[0:1:4]", [0.0, 1 / 3, 2 / 3, 1.0]),
        (INT, "linspace[0:10:3]", [0, 5, 10]),
        (ANY, "logspace[-4:-1:4]", [1e-4, 1e-3, 1e-2, 1e-1]),
        (FLOAT, "logspace[-4:-1:4]", [1e-4, 1e-3, 1e-2, 1e-1]),
        (INT, "logspace[0:3:4]", [1, 10, 100, 1000]),
        (ANY, "logspace[0:1:3]", [1.0, 10**0.5, 10.0]),
        (ANY, "geomspace[1:1000:4]", [1, 10, 100, 1000]),
        (FLOAT, "geomspace[1:1000:4]", [1.0, 10.0, 100.0, 1000.0]),
        (ANY, "geomspace[0.1:0.4:3]", [0.1, 0.2, 0.4]),
    ],
)
def test_a_list_is_read_by_the_type_of_the_flag(flag: FlagDef, text: str, expected: list[FlagValue]):
    assert values(flag, text) == list(map(value_key, expected))


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        (ANY, "[0.1:0.9]", Uniform(low=0.1, high=0.9)),
        (ANY, "uniform[1:5]", Uniform(low=1, high=5)),
        (ANY, "[1:5.0]", Uniform(low=1.0, high=5.0)),
        (FLOAT, "[1:5]", Uniform(low=1.0, high=5.0)),
        (hinted(FlagType.FLOAT), "[1:5]", Uniform(low=1.0, high=5.0)),
        (INT, "[-5:5]", Uniform(low=-5, high=5)),
        (hinted(FlagType.INT), "[1:2.5]", Uniform(low=1.0, high=2.5)),
        (FLOAT, "loguniform[1e-5:1e-1]", LogUniform(low=1e-5, high=1e-1)),
        (INT, " loguniform[1:1000] ", LogUniform(low=1, high=1000)),
    ],
)
def test_a_random_function_has_bounds_of_the_type_of_the_flag(flag: FlagDef, text: str, expected: FlagSpace):
    read = read_space(flag, text)
    assert isinstance(read, Uniform | LogUniform)
    assert read == expected
    assert {type(read.low), type(read.high)} == {type(expected.low)}
    assert read.text == text.strip()


@pytest.mark.parametrize(
    ("flag", "text", "value"),
    [
        (ANY, "'[1,2]'", "[1,2]"),
        (STR, '"range[1:5]"', "range[1:5]"),
        (ANY, "1:5", "1:5"),
        (ANY, "arrange[1:5]", "arrange[1:5]"),
        (ANY, "5", 5),
        (INTS, "[1,2]", [1, 2]),
        (INTS, "3", [3]),
        (declared(FlagType.STR, nargs="+"), "[a:b, c]", ["a:b", "c"]),
    ],
)
def test_what_is_neither_list_nor_function_is_one_value(flag: FlagDef, text: str, value: FlagValue):
    read = read_space(flag, text)
    assert not isinstance(read, Choices | Uniform | LogUniform)
    assert value_key(read) == value_key(value)


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        (
            declared(FlagType.FLOAT),
            "loguniform[0.1:0.01]",
            "x=loguniform[0.1:0.01]: the lower bound 0.1 must be less than the upper bound 0.01",
        ),
        (ANY, "[5:5]", "x=[5:5]: the lower bound 5 must be less than the upper bound 5"),
        (ANY, "linspace[1:0:5]", "x=linspace[1:0:5]: the lower bound 1 must be less than the upper bound 0"),
        (ANY, "[1:2:3]", "x=[1:2:3]: it has 3 parts: write uniform[LOW:HIGH] or [LOW:HIGH]"),
        (ANY, "range[1]", "x=range[1]: it has 1 part: write range[START:STOP] or range[START:STOP:STEP]"),
        (ANY, "linspace[0:1]", "x=linspace[0:1]: it has 2 parts: write linspace[LOW:HIGH:COUNT]"),
        (ANY, "range[1:5:0]", "x=range[1:5:0]: the step must not be 0"),
        (ANY, "range[5:1]", "x=range[5:1]: the start 5 must not be greater than the stop 1, or the step negative"),
        (ANY, "range[1:5:-1]", "x=range[1:5:-1]: the step -1 is negative, and the start 1 less than the stop 5"),
        (ANY, "loguniform[0:1]", "x=loguniform[0:1]: the lower bound 0 must be greater than 0"),
        (ANY, "geomspace[-1:1:3]", "x=geomspace[-1:1:3]: the lower bound -1 must be greater than 0"),
        (ANY, "[0:inf]", "x=[0:inf]: the number inf is not finite"),
        (ANY, "uniform[nan:1]", "x=uniform[nan:1]: the number nan is not finite"),
        (ANY, "[1e999:2]", "x=[1e999:2]: the number 1e999 is not finite"),
        (ANY, "uniform[a:1]", "x=uniform[a:1]: 'a' is not a number"),
        (ANY, "uniform[true:1]", "x=uniform[true:1]: 'true' is not a number"),
        (ANY, "[0.1:]", "x=[0.1:]: a number is missing"),
        (ANY, "range[]", "x=range[]: it has 1 part: write range[START:STOP] or range[START:STOP:STEP]"),
        (ANY, "linspace[0:1:1]", "x=linspace[0:1:1]: the number of values must be an integer of at least 2, not 1"),
        (
            ANY,
            "linspace[0:1:2.5]",
            "x=linspace[0:1:2.5]: the number of values must be an integer of at least 2, not 2.5",
        ),
        (ANY, "range[1:1000001]", "x=range[1:1000001]: it gives 1,000,001 values, and a list has at most 1,000,000"),
        (
            ANY,
            "linspace[0:1:1e7]",
            "x=linspace[0:1:1e7]: the number of values must be an integer of at least 2, not 1e7",
        ),
        (ANY, "range[0:1:1e-300]", "x=range[0:1:1e-300]: it gives far more values, and a list has at most 1,000,000"),
        (ANY, "range[0:1:1e-999999999]", "x=range[0:1:1e-999999999]: the number 1e-999999999... has too many digits"),
        (ANY, "logspace[0:400:3]", "x=logspace[0:400:3]: a value is too large for a float"),
        (ANY, "logspace[0:1e9:3]", "x=logspace[0:1e9:3]: a power of ten is too large or too small for a float"),
        (ANY, "[range[1:5], 7]", "x=[range[1:5], 7]: the function range[1:5] stands inside a list: give it alone"),
        (ANY, "[[0.1:0.9], 7]", "x=[[0.1:0.9], 7]: the function [0.1:0.9] stands inside a list: give it alone"),
        (INT, "range[0:1:0.5]", "x=range[0:1:0.5]: expected an integer, got 0.0"),
        (INT, "linspace[0:1:3]", "x=linspace[0:1:3]: expected an integer, got 0.0"),
        (INT, "[0.5:2]", "x=[0.5:2]: expected an integer, got 0.5"),
        (INT, "[1, 0.5]", "x: expected an integer, got 0.5"),
        (FLOAT, "[1, a]", "x: expected a number, got a"),
        (FLOAT, "[[1,2]]", "x: expected a number, got [1, 2]"),
        (BOOL, "range[0:1]", "x=range[0:1]: expected true or false, got 0"),
        (BOOL, "[0:1]", "x=[0:1]: expected true or false, got 0"),
        (STR, "[0:1]", 'x=[0:1]: it draws numbers, and the flag is a string: quote it, "[0:1]", to mean the text'),
        (INTS, "[0:1]", "x=[0:1]: it draws single numbers, and the flag takes a list: give a list of lists"),
        (INTS, "[[1], 2]", "x: expected an integer, got [1]"),
        (INTS, "[]", "x: the list is empty: give at least one value"),
        (INTS, "[[1],[]]", "x: the list is empty: give at least one value"),
        (ANY, "[]", "x: the list is empty: give at least one value"),
        (ANY, "[1,2", "x: the list '[1,2' does not end: a ']' is missing"),
        (ANY, "[1,]", "x: a value is missing in '[1,]'"),
        (ANY, "[1] 2", "x: ' 2' stands after the end of '[1]'"),
        (ANY, "[a\0]", "x: a value cannot hold a null character"),
        (declared(FlagType.INT, choices=(1, 2)), "[1, 3]", "x: 3 is not one of 1, 2"),
        (
            declared(FlagType.INT, choices=(1, 2)),
            "[1:2]",
            "x=[1:2]: it draws numbers that are not among the flag's choices 1, 2: give a list of them",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_the_flag_and_the_reason(flag: FlagDef, text: str, message: str):
    with pytest.raises(InvalidError) as caught:
        read_space(flag, text)
    assert caught.value.message == message
    assert caught.value.field == "x"


def test_a_long_text_is_cut_in_messages():
    with pytest.raises(InvalidError) as caught:
        read_space(ANY, "[" + ", ".join(["range[1:2]"] * 1000) + "]")
    assert len(caught.value.message) < 400


def test_a_list_has_at_most_a_million_values():
    assert len(values(ANY, "range[1:1000000]")) == 1_000_000
    with pytest.raises(InvalidError, match="at most 1,000,000"):
        read_list(ANY, [0] * 1_000_001)


DECIMALS = st.decimals(-1000, 1000, allow_nan=False, places=4)


@given(DECIMALS, st.decimals("0.0001", 10, places=4), st.integers(0, 50))
def test_range_is_exact_and_rounded_once(start: Decimal, step: Decimal, count: int):
    stop = start + step * count
    read = read_space(FLOAT, f"range[{start}:{stop}:{step}]")
    assert isinstance(read, Choices)
    assert read.values == tuple(float(start + step * at) for at in range(count + 1))


@given(DECIMALS, st.decimals("0.0001", 10, places=4), st.integers(2, 50))
def test_linspace_is_exact_and_rounded_once(low: Decimal, width: Decimal, count: int):
    read = read_space(FLOAT, f"linspace[{low}:{low + width}:{count}]")
    assert isinstance(read, Choices)
    exact = [Fraction(low) + Fraction(width) * at / (count - 1) for at in range(count)]
    assert read.values == tuple(map(float, exact))


@given(st.floats(1e-300, 1e300), st.floats(1.1, 1e5), st.integers(2, 20))
def test_geomspace_includes_both_ends_and_rises(low: float, factor: float, count: int):
    high = low * factor
    read = read_space(FLOAT, f"geomspace[{low!r}:{high!r}:{count}]")
    assert isinstance(read, Choices)
    assert read.values[0] == low
    assert read.values[-1] == high
    assert list(read.values) == sorted(read.values, key=float)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(alphabet="ab ,[]'\"\\1:"),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_a_list_that_rund_prints_reads_back(listed: list[FlagValue]):
    text = format_value(listed)
    read = read_space(ANY, text)
    assert isinstance(read, Choices)
    assert list(map(value_key, read.values)) == list(map(value_key, listed))


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_typed_values_stay_as_they_are(listed: list[FlagValue]):
    read = read_list(ANY, listed)
    assert isinstance(read, Choices)
    assert list(map(value_key, read.values)) == list(map(value_key, listed))


def test_a_typed_list_is_one_value_where_the_flag_takes_a_list():
    assert read_list(INTS, [1, 2]) == [1, 2]
    assert read_list(INTS, [[1, 2], [3]]) == Choices(values=([1, 2], [3]))
    assert read_list(ANY, "[1,2]") == "[1,2]"
    with pytest.raises(InvalidError, match="empty"):
        read_list(ANY, [])


SPACES = (
    st.lists(VALUES, min_size=1, max_size=4).map(lambda listed: Choices(values=tuple(listed)))
    | st.tuples(st.integers(-(2**63), 0), st.integers(1, 2**64 - 1)).map(lambda at: Uniform(low=at[0], high=at[1]))
    | st.tuples(st.floats(1e-9, 1), st.floats(2, 9)).map(lambda at: LogUniform(low=at[0], high=at[1], text="é"))
)


@given(st.dictionaries(st.text(), VALUES, max_size=3), st.dictionaries(st.text(), SPACES, max_size=3))
def test_a_space_is_stored_and_read_back_exactly(fixed: dict[str, FlagValue], varying: dict[str, FlagSpace]):
    space = Space(fixed=fixed, varying=varying, order=tuple(sorted(fixed | varying)))
    text = space_to_json(space)
    again = space_from_json(text)
    assert space_to_json(again) == text
    assert again.order == space.order
    assert {name: value_key(value) for name, value in again.fixed.items()} == {
        name: value_key(value) for name, value in fixed.items()
    }
    assert {name: each.text for name, each in again.varying.items()} == {
        name: each.text for name, each in varying.items()
    }


def test_the_stored_text_tells_typed_values_apart_but_not_their_spelling():
    texts = {
        space_to_json(Space(fixed={}, varying={"x": Choices(values=(value,))})) for value in (1, 1.0, True, "1", None)
    }
    assert len(texts) == 5
    one, other = (
        Space(fixed={}, varying={"x": read}) for read in (read_space(ANY, "[1,2]"), read_space(ANY, "range[1:2]"))
    )
    assert space_to_json(one) != space_to_json(other)
    assert space_to_json(one, texts=False) == space_to_json(other, texts=False)


@pytest.mark.parametrize("kind", [None, FlagType.INT, FlagType.FLOAT, FlagType.STR])
@pytest.mark.parametrize("text", ["range[1:1000]", "linspace[1:1000:1000]", " range[0:1:0.25] ", "geomspace[1:1000:4]"])
def test_a_long_series_is_kept_as_its_text_and_comes_back_value_by_value(text: str, kind: FlagType | None) -> None:
    try:
        choices = read_space(FlagDef(name="x", type=kind), text)
    except InvalidError:
        assert (kind, "0.25" in text or "geom" in text) == (FlagType.INT, True)
        return
    space = Space(fixed={}, varying={"x": choices})
    written = space_to_json(space)
    assert len(written) < 200
    found = space_from_json(written).varying["x"]
    assert (found.text, [(type(each), each) for each in found.values]) == (
        choices.text,
        [(type(each), each) for each in choices.values],
    )
    assert space_to_json(space, texts=False) == space_to_json(
        Space(fixed={}, varying={"x": Choices(values=choices.values)})
    )


def test_a_series_whose_values_are_no_longer_those_of_its_text_is_kept_as_values() -> None:
    choices = Choices(values=(1, 2.5, 3), text="range[1:3]")
    found = space_from_json(space_to_json(Space(fixed={}, varying={"x": choices}))).varying["x"]
    assert found.values == (1, 2.5, 3)
