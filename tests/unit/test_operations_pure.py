"""Scalars, hints, stored operations and updated sources."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.values import Flags, format_value, value_key
from rund.operations.hints import missing_file
from rund.operations.scalars import read_scalars
from rund.operations.stored import operation_from_json, operation_to_json
from rund.operations.update import flags_before, flags_in, same_flags, updated_flags

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda items: st.lists(items, max_size=3),
    max_leaves=5,
)
FLAGS = st.builds(
    FlagDef,
    name=st.text(),
    type=st.none() | st.sampled_from(FlagType),
    declared=st.booleans(),
    default=VALUES,
    required=st.booleans(),
    choices=st.none() | st.lists(VALUES, max_size=3).map(tuple),
    nargs=st.none() | st.sampled_from(["?", "*", "+", 1, 3]),
    passing=st.sampled_from(Passing),
    option=st.none() | st.text(),
)
OPERATIONS = st.builds(
    Operation,
    name=st.text(),
    kind=st.sampled_from(OperationKind),
    entry=st.text(),
    arguments=st.lists(st.text(), max_size=3).map(tuple),
    flags=st.lists(FLAGS, max_size=4).map(tuple),
    project_dir=st.text(),
    cwd=st.text(),
    target=st.text(),
)


@given(OPERATIONS)
def test_a_stored_operation_comes_back_exactly(operation: Operation):
    text = operation_to_json(operation)
    back = operation_from_json(text)
    assert operation_to_json(back) == text
    assert repr(back) == repr(operation)
    for old, new in zip(operation.flags, back.flags, strict=True):
        assert value_key(old.default) == value_key(new.default)
        assert type(old.passing) is type(new.passing)


def test_the_last_number_of_each_name_is_its_scalar():
    text = (
        "loss: 0.5\n  val/acc-1.top 5: 9e-1\nloss: 0.25\r\nepoch 1: loss: 3\n12:30\nnote: fine\nx:nan\nhalf\rbar: 1\n"
    )
    found = read_scalars(text)
    assert math.isnan(found.pop("x"))
    assert found == {"loss": 0.25, "val/acc-1.top 5": 0.9, "bar": 1.0}


def test_a_hundred_names_count():
    found = read_scalars("".join(f"n{i}: {i}\n" for i in range(200)) + "n5: 7\n")
    assert len(found) == 100
    assert found["n5"] == 7.0


@given(st.text())
def test_any_output_has_scalars_or_none(text: str):
    for name, value in read_scalars(text).items():
        assert read_scalars(f"{name}: {format_value(value)}").keys() == {name}


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("Traceback\nFileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'\n\n", "data/train.csv"),
        ('FileNotFoundError: [Errno 2] No such file or directory: "it\'s"', "it's"),
        ("FileNotFoundError: data.csv not found.", "data.csv"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/data/train.csv'", None),
        ("FileNotFoundError: [Errno 2] No such file or directory: '../train.csv'", None),
        ("FileNotFoundError: [Errno 2] No such file or directory: ''", None),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a'\nbut it went on", None),
        ("ValueError: 'a'", None),
        ("", None),
    ],
)
def test_the_missing_file_is_read_from_the_last_line(output: str, path: str | None):
    assert missing_file(output) == path


def operation(*flags: FlagDef) -> Operation:
    return Operation(
        name="t.py", kind=OperationKind.PYTHON, entry="t.py", flags=flags, project_dir="/p", cwd="/p", target="/p/t.py"
    )


NEW = operation(
    FlagDef(name="lr", type=FlagType.FLOAT, declared=True, default=0.5),
    FlagDef(name="batch_size", type=FlagType.INT, declared=True, default=8),
    FlagDef(name="added", default="new"),
)


OLD = operation(FlagDef(name="lr"), FlagDef(name="batch-size"), FlagDef(name="gone"))


def test_flags_never_given_take_their_new_defaults_and_gone_ones_are_dropped():
    old: Flags = {"lr": 0.1, "batch-size": 4, "gone": 1}
    assert updated_flags(OLD, NEW, old, {"batch-size", "gone"}) == {"lr": 0.5, "batch_size": 4, "added": "new"}
    with pytest.raises(InvalidError, match=r"^lr: "):
        updated_flags(OLD, NEW, {"lr": "fast"}, {"lr"})


def test_a_run_matches_as_if_it_had_the_new_defaults():
    wanted: Flags = {"lr": 0.5, "batch_size": 4, "added": "new"}
    assert same_flags({"lr": 0.5, "batch-size": 4, "gone": 1}, NEW, wanted)
    assert not same_flags({"lr": 0.5, "batch-size": 4, "added": "old"}, NEW, wanted)
    assert not same_flags({"lr": 0.5}, NEW, wanted)
    assert not same_flags({"lr": 0.5, "batch-size": 4.0}, NEW, wanted)
    assert not same_flags({"lr": 0.5, "batch-size": 4}, NEW, {**wanted, "forced": 1})


def test_an_executable_that_takes_any_flag_keeps_those_given():
    program = Operation(name="p", kind=OperationKind.EXECUTABLE, entry="/p", project_dir="/", cwd="/", target="p")
    assert updated_flags(OLD, program, {"a": 1, "b": 2}, {"b"}) == {"b": 2}


def test_what_the_older_operation_was_made_to_pass_stays_and_what_it_had_itself_goes():
    old: Flags = {"batch-size": 4, "gone": 1, "forced": 2, "added": "mine"}
    defaults: Flags = {"lr": 0.5, "batch_size": 8, "added": "new"}
    assert updated_flags(OLD, NEW, old, set(old)) == {**defaults, "batch_size": 4, "added": "mine", "forced": 2}
    assert flags_in(NEW, {"forced": 2, "gone": 1}, OLD) == {**defaults, "forced": 2}
    assert flags_before(OLD, {"lr": 0.5, "forced": 2}, NEW) == {
        "lr": 0.5,
        "batch-size": None,
        "gone": None,
        "forced": 2,
    }
    assert flags_before(OLD, {"lr": 0.5, "added": "mine"}, NEW) is None
    program = Operation(name="p", kind=OperationKind.EXECUTABLE, entry="/p", project_dir="/", cwd="/", target="p")
    assert updated_flags(program, NEW, {"any": 1, "lr": 0.1}, {"any", "lr"}) == {**defaults, "lr": 0.1}


def test_flags_are_told_in_the_terms_of_another_operation():
    assert flags_in(NEW, {"batch-size": 4, "gone": 1, "lr": 0.5}, OLD) == {
        flag.name: {"lr": 0.5, "batch_size": 4}.get(flag.name, flag.default) for flag in NEW.flags
    }
    program = Operation(name="go", kind=OperationKind.EXECUTABLE, entry="go", project_dir="/", cwd="/", target="/go")
    assert flags_in(program, {"any": 1}, OLD) == {"any": 1}
