"""The command line and environment of an operation."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.values import Flags, FlagValue, value_key
from rund.operations.command import BOOTSTRAP, BOOTSTRAP_VARIABLE, command_line

SOURCE = Path("/sources/d")


def script(*flags: FlagDef, arguments: tuple[str, ...] = ()) -> Operation:
    return Operation(
        name="t.py",
        kind=OperationKind.PYTHON,
        entry="src/t.py",
        arguments=arguments,
        flags=flags,
        project_dir="/p",
        cwd="/p",
        target="/p/src/t.py",
    )


def arguments(operation: Operation, flags: Flags) -> tuple[str, ...]:
    line = command_line(operation, flags, source_dir=SOURCE, python="/env/python3")
    assert line.argv[:2] == ("/env/python3", "/sources/d/src/t.py")
    return line.argv[2:]


def test_options_come_before_positionals_and_null_leaves_out():
    operation = script(
        FlagDef(name="data", passing=Passing.POSITIONAL),
        FlagDef(name="lr", option="--lr"),
        FlagDef(name="v", passing=Passing.COUNTED, option="-v"),
        FlagDef(name="none", option="--none"),
        FlagDef(name="on", passing=Passing.SWITCH_ON, option="--on"),
        FlagDef(name="off", passing=Passing.SWITCH_OFF, option="--off"),
        FlagDef(name="amp", passing=Passing.SWITCH_BOTH, option="--amp"),
        FlagDef(name="tag", passing=Passing.REPEATED, option="--tag"),
    )
    flags: Flags = {"data": "d", "lr": 0.1, "v": 2, "none": None, "on": True, "off": True, "amp": False}
    assert arguments(operation, {**flags, "tag": ["a", "-b"]}) == (
        *("--lr", "0.1", "-v", "-v", "--on", "--no-amp", "--tag", "a", "--tag=-b", "d"),
    )
    assert arguments(operation, {"data": "-d", "off": False}) == ("--off", "--", "-d")


@pytest.mark.parametrize("value", [101, 10**15, 2**63])
def test_a_count_that_nobody_can_have_given_is_refused(value: int):
    operation = script(FlagDef(name="v", passing=Passing.COUNTED, option="-v", default=0))
    assert arguments(operation, {"v": 100}) == ("-v",) * 100
    with pytest.raises(InvalidError, match=f"^v: expected a count of 100 at most, got {value}$"):
        arguments(operation, {"v": value})


def test_a_value_that_begins_with_a_dash_is_not_taken_for_an_option():
    assert arguments(script(FlagDef(name="lr", option="--lr")), {"lr": -1e-5}) == ("--lr=-1e-05",)


def test_forced_flags_are_options_of_a_script_without_literals():
    assert arguments(script(), {"extra": 1}) == ("--extra", "1")


def test_fixed_arguments_come_first_and_name_files_of_the_source():
    operation = script(FlagDef(name="n", option="--n"), arguments=("./conf/a.toml", "fit"))
    assert arguments(operation, {"n": 1}) == ("/sources/d/conf/a.toml", "fit", "--n", "1")


def test_every_flag_is_in_the_environment():
    line = command_line(
        script(), {"batch-size": 8, "x": 3.0, "none": None, "s": "a b", "l": [1, 2]}, source_dir=SOURCE, python="/py"
    )
    assert line.environment == {
        "FLAG_BATCH_SIZE": "8",
        "FLAG_X": "3.0",
        "FLAG_NONE": "",
        "FLAG_S": "a b",
        "FLAG_L": "[1, 2]",
    }


def test_an_executable_gets_its_flags_by_name_and_needs_no_python():
    program = Operation(
        name="p", kind=OperationKind.EXECUTABLE, entry="/bin/p", arguments=("-q",), project_dir="/", cwd="/", target="p"
    )
    line = command_line(program, {"n": 3, "b": True, "s": "-x"}, source_dir=None, python=None)
    assert line.argv == ("/bin/p", "-q", "--n", "3", "--b", "true", "--s=-x")
    with pytest.raises(InvalidError, match="Python"):
        command_line(script(), {}, source_dir=SOURCE, python=None)


def literal(name: str, kind: FlagType | None = None) -> FlagDef:
    return FlagDef(name=name, type=kind, passing=Passing.LITERAL)


def test_literals_go_through_the_bootstrap_and_forced_flags_by_the_environment_alone():
    line = command_line(script(literal("x")), {"x": 3, "forced": 4}, source_dir=SOURCE, python="/py")
    assert line.argv == ("/py", BOOTSTRAP, "/sources/d/src/t.py")
    assert json.loads(line.environment[BOOTSTRAP_VARIABLE]) == {"script": "/sources/d/src/t.py", "values": {"x": 3}}
    assert line.environment["FLAG_FORCED"] == "4"


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats() | st.text(st.characters())


@given(st.dictionaries(st.sampled_from("abcdé"), SCALARS, min_size=1))
def test_what_the_bootstrap_is_told_is_json_and_a_python_expression(flags: Flags):
    line = command_line(script(*map(literal, flags)), flags, source_dir=SOURCE, python="/py")
    text = line.environment[BOOTSTRAP_VARIABLE]
    words = {"null": None, "true": True, "false": False, "NaN": math.nan, "Infinity": math.inf}
    for told in (json.loads(text), eval(text, {"__builtins__": {}, **words})):
        values: dict[str, FlagValue] = told["values"]
        assert {name: value_key(value) for name, value in values.items()} == {
            name: value_key(value) for name, value in flags.items()
        }


def test_the_bootstrap_is_written_for_every_python_from_3_8_on():
    ast.parse(Path(BOOTSTRAP).read_text(encoding="utf-8"), feature_version=(3, 8))
