"""Params: one map, typed, and an error that names what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.api.params import METHODS, ListParams, RunParams, WaitParams, read_params
from rund.errors import InvalidError, RundError


@pytest.mark.parametrize("nothing", [None, [], {}, [{}], [[]], [None]])
def test_an_empty_list_map_or_none_at_all_is_an_empty_map(nothing: object) -> None:
    assert read_params(ListParams, nothing) == ListParams()


def test_a_nil_param_is_one_not_given() -> None:
    assert read_params(ListParams, [{"limit": None, "tag": None}]) == ListParams()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([{"limit": "x"}], r"limit: expected `int`, got `str`"),
        ([{"limit": 0}], r"limit: expected `int` >= 1"),
        ([{"limit": True}], r"limit: expected `int`, got `bool`"),
        ([{"nonsense": 1}], r"unknown param `nonsense`"),
        ([1], r"params are one map, not int"),
        ([{}, {}], r"params are one map, not 2 values"),
    ],
)
def test_what_is_wrong_is_named(params: object, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        read_params(ListParams, params)


@pytest.mark.parametrize("name", ["args", "flags", "env", "tags", "inputs"])
def test_lists_and_maps_are_refused_by_their_length_and_rows_are_not(name: str) -> None:
    """Before their values are looked at: a million would hold up everybody for a second."""
    whole = {str(number): "x=1" for number in range(10_001)}
    given = {"operation": "echo.py", "cwd": "/", name: whole if name in ("flags", "env") else list(whole)}
    with pytest.raises(InvalidError, match=rf"{name}: expected `\w+` of length <= 10000"):
        read_params(RunParams, [given])
    del given[name]
    assert read_params(RunParams, [given | {"rows": [{}] * 20_000}]).rows == [{}] * 20_000


def test_nan_is_no_number_of_seconds() -> None:
    with pytest.raises(InvalidError, match="timeout"):
        read_params(WaitParams, [{"runs": ["abcd"], "timeout": float("nan")}])


def test_a_missing_param_is_named() -> None:
    with pytest.raises(InvalidError, match="operation"):
        read_params(RunParams, [{"cwd": "/"}])


wire = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(METHODS)), st.data())
def test_whatever_a_client_sends_is_typed_or_refused(method: str, data: st.DataObject) -> None:
    kind = METHODS[method]
    names = st.sampled_from([*kind.__struct_fields__, "other"])
    params = data.draw(wire | st.lists(st.dictionaries(names, wire), max_size=2))
    try:
        assert isinstance(read_params(kind, params), kind)
    except RundError as error:
        assert error.code == "invalid"
        assert error.message
