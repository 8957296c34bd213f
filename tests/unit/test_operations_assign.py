"""Giving flags their values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.values import Flags, FlagValue, format_value, value_key
from rund.operations.assign import BatchValueError, assign_flags, read_args, read_typed


def operation(*flags: FlagDef, kind: OperationKind = OperationKind.PYTHON) -> Operation:
    return Operation(name="t.py", kind=kind, entry="t.py", flags=flags, project_dir="/p", cwd="/p", target="/p/t.py")


def declared(kind: FlagType, **more) -> FlagDef:
    return FlagDef(name="x", type=kind, declared=True, option="--x", **more)


def hinted(kind: FlagType | None, default: FlagValue = None) -> FlagDef:
    return FlagDef(name="x", type=kind, default=default, passing=Passing.LITERAL)


def assigned(flag: FlagDef, *args: str, base: Flags | None = None) -> FlagValue:
    return assign_flags(operation(flag), read_args(args), base=base, given=frozenset(), force=False).flags["x"]


ECHO = operation(
    FlagDef(name="x", type=FlagType.FLOAT, default=1.0, passing=Passing.LITERAL),
    FlagDef(name="y", type=FlagType.INT, default=2, passing=Passing.LITERAL),
    FlagDef(name="z", type=FlagType.STR, default="a", passing=Passing.LITERAL),
)


def test_defaults_hold_where_nothing_is_given_and_a_float_literal_makes_integers_floats():
    result = assign_flags(ECHO, read_args(["y=5", "x=3"]), base=None, given=frozenset(), force=False)
    assert [*map(value_key, result.flags.values())] == [*map(value_key, [3.0, 5, "a"])]
    assert list(result.flags) == ["x", "y", "z"]
    assert result.given == {"x", "y"}


def test_an_empty_value_gives_the_default_back_and_is_no_longer_given():
    base: Flags = {"x": 3.0, "y": 5, "z": "b"}
    result = assign_flags(ECHO, read_args(["y="]), base=base, given=frozenset({"x", "y"}), force=False)
    assert result.flags == {"x": 3.0, "y": 2, "z": "b"}
    assert result.given == {"x"}


@pytest.mark.parametrize(
    ("flag", "text", "value"),
    [
        (declared(FlagType.FLOAT), "3", 3.0),
        (declared(FlagType.FLOAT), "100000000000000000000000", 1e23),
        (declared(FlagType.FLOAT), "null", None),
        (declared(FlagType.INT), "-3", -3),
        (declared(FlagType.STR), "null", "null"),
        (declared(FlagType.STR), " 1.0 ", " 1.0 "),
        (declared(FlagType.STR), '"it\'s"', "it's"),
        (declared(FlagType.STR), '"', '"'),
        (declared(FlagType.STR), '"a" b', '"a" b'),
        (declared(FlagType.BOOL), "yes", True),
        (declared(FlagType.BOOL), "Off", False),
        (hinted(FlagType.FLOAT), "auto", "auto"),
        (hinted(FlagType.INT), "2.5", 2.5),
        (hinted(FlagType.INT), "yes", "yes"),
        (hinted(FlagType.BOOL), "no", False),
        (hinted(FlagType.BOOL), "2", 2),
        (hinted(FlagType.STR), "5", "5"),
        (hinted(None), "5", 5),
        (declared(FlagType.INT, nargs="+"), "[1,2]", [1, 2]),
        (declared(FlagType.INT, nargs="*"), "[]", []),
        (declared(FlagType.INT, nargs="+"), "1", [1]),
        (declared(FlagType.STR, nargs="+"), "[1, a, 'b c']", ["1", "a", "b c"]),
        (declared(FlagType.FLOAT, nargs=2), "[1,2]", [1.0, 2.0]),
        (declared(FlagType.INT, choices=(1, 2)), "2", 2),
        (declared(FlagType.FLOAT, nargs="+"), "[-1e-7, -1]", [-1e-7, -1.0]),
    ],
)
def test_text_is_read_by_the_type_of_the_flag(flag: FlagDef, text: str, value: FlagValue):
    assert value_key(assigned(flag, f"x={text}")) == value_key(value)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        (declared(FlagType.FLOAT), "abc"),
        (declared(FlagType.FLOAT), "true"),
        (declared(FlagType.INT), "1.5"),
        (declared(FlagType.INT), "1e3"),
        (declared(FlagType.INT), str(2**64)),
        (declared(FlagType.BOOL), "1"),
        (declared(FlagType.INT, choices=(1, 2)), "3"),
        (declared(FlagType.INT, nargs="+"), "[]"),
        (declared(FlagType.INT, nargs=2), "[1]"),
        (declared(FlagType.INT, nargs="+"), "[1, a]"),
        (declared(FlagType.STR, nargs="+"), "[a, -b]"),
        (declared(FlagType.FLOAT, nargs="+"), "[1, -inf]"),
        (declared(FlagType.INT, passing=Passing.COUNTED, default=0), "-1"),
        (hinted(FlagType.FLOAT), "[1,2"),
        (hinted(FlagType.FLOAT), "[]"),
        (hinted(FlagType.STR), "a\0b"),
    ],
)
def test_what_does_not_fit_is_refused_naming_the_flag(flag: FlagDef, text: str):
    with pytest.raises(InvalidError, match=r"^x: ") as caught:
        assigned(flag, f"x={text}")
    assert caught.value.field == "x"
    assert not isinstance(caught.value, BatchValueError)


BATCHES = ["[1,2]", "[1]", "range[1:5]", "linspace[0:1:5]", "logspace[-4:-1:4]", "geomspace[1:1000:4]"]
BATCHES += ["[0.1:0.9]", "uniform[0:1]", "loguniform[1e-5:1e-1]", " [1,2] "]


@pytest.mark.parametrize("text", BATCHES)
@pytest.mark.parametrize("flag", [hinted(FlagType.FLOAT), hinted(FlagType.STR), declared(FlagType.INT), hinted(None)])
def test_a_list_or_function_is_told_apart_as_a_batch(flag: FlagDef, text: str):
    with pytest.raises(BatchValueError, match=r"^x: "):
        assigned(flag, f"x={text}")


def test_a_list_of_lists_is_a_batch_for_a_flag_that_takes_lists():
    with pytest.raises(BatchValueError):
        assigned(declared(FlagType.INT, nargs="+"), "x=[[1,2],[3,4]]")
    with pytest.raises(BatchValueError):
        read_args(["@trials.csv"])
    with pytest.raises(BatchValueError):
        assign_flags(ECHO, read_typed({"x": [1, 2]}), base=None, given=frozenset(), force=False)


@pytest.mark.parametrize("name", ["lr", "-lr", "batch size", "", "a/b", "1:2", "a\n", "x" * 300])
def test_an_argument_that_is_not_an_assignment_is_refused(name: str):
    with pytest.raises(InvalidError):
        read_args([name if name == "lr" else f"{name}=3"])


def test_one_flag_is_given_once_however_it_is_spelled():
    with pytest.raises(InvalidError, match="twice"):
        read_args(["batch-size=3", "batch_size=4"])


def test_dashes_and_underscores_are_one():
    flag = FlagDef(name="batch-size", type=FlagType.INT, declared=True, default=8, option="--batch-size")
    result = assign_flags(operation(flag), read_args(["batch_size=4"]), base=None, given=frozenset(), force=False)
    assert result.flags == {"batch-size": 4}
    assert result.given == {"batch-size"}


def test_an_unknown_flag_is_refused_with_the_nearest_name_unless_forced():
    flag = FlagDef(name="learning-rate", default=0.1, option="--learning-rate")
    with pytest.raises(InvalidError, match="did you mean learning-rate") as caught:
        assign_flags(operation(flag), read_args(["lerning_rate=1"]), base=None, given=frozenset(), force=False)
    assert caught.value.field == "lerning_rate"
    forced = assign_flags(operation(flag), read_args(["b=1", "a=2"]), base=None, given=frozenset(), force=True)
    assert list(forced.flags.items()) == [("learning-rate", 0.1), ("b", 1), ("a", 2)]
    again = assign_flags(operation(flag), read_args(["b=7", "a="]), base=forced.flags, given=forced.given, force=False)
    assert again.flags == {"learning-rate": 0.1, "b": 7}
    assert again.given == {"b"}


def test_an_executable_without_flags_takes_any():
    program = operation(kind=OperationKind.EXECUTABLE)
    result = assign_flags(program, read_args(["n=3", "s=a b"]), base=None, given=frozenset(), force=False)
    assert result.flags == {"n": 3, "s": "a b"}


def test_a_required_flag_without_a_value_is_refused():
    flag = declared(FlagType.STR, required=True)
    for assignments in ([], read_typed({"x": None})):
        with pytest.raises(InvalidError, match="give x=VALUE"):
            assign_flags(operation(flag), assignments, base=None, given=frozenset(), force=False)


@pytest.mark.parametrize("value", [b"a", {"a": 1}, 2**64, -(2**63) - 1, (1, 2), object(), "a\0", [b"a"], 1j])
def test_a_typed_value_that_no_flag_can_have_is_refused(value: object):
    with pytest.raises(InvalidError, match=r"^x: "):
        read_typed({"x": value})


def test_a_typed_value_must_be_of_the_declared_type():
    for kind, value in ((FlagType.FLOAT, "1"), (FlagType.INT, True), (FlagType.STR, 1), (FlagType.BOOL, 1)):
        with pytest.raises(InvalidError, match=r"^x: expected"):
            assign_flags(operation(declared(kind)), read_typed({"x": value}), base=None, given=frozenset(), force=False)


LITERALS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text().map(lambda text: text.replace("\0", ""))
)


@given(LITERALS)
def test_the_text_that_rund_prints_reads_back_for_a_flag_of_no_type(value: FlagValue):
    assert value_key(assigned(hinted(None), f"x={format_value(value)}")) == value_key(value)


@given(st.text().map(lambda text: text.replace("\0", "")))
def test_the_text_that_rund_prints_reads_back_for_a_string(value: str):
    assert assigned(hinted(FlagType.STR), f"x={format_value(value)}") == value


@given(LITERALS, st.sampled_from([*FlagType, None]), st.booleans())
def test_a_typed_value_is_taken_exactly_or_refused(value: FlagValue, kind: FlagType | None, binds: bool):
    flag = FlagDef(name="x", type=kind, declared=binds)
    try:
        result = assign_flags(operation(flag), read_typed({"x": value}), base=None, given=frozenset(), force=False)
    except InvalidError:
        assert binds
        return
    taken = result.flags["x"]
    if kind is FlagType.FLOAT and type(value) is int:
        value = float(value)
    assert value_key(taken) == value_key(value)
    if binds and isinstance(taken, float) and not math.isnan(taken):
        assert kind in (FlagType.FLOAT, None)
