"""Giving a batch's flags, and the rows of its file, their values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.space import Choices, Row, Space, Uniform, space_values
from rund.model.values import FlagValue, value_key
from rund.operations.assign import assign_flags, read_args, read_typed
from rund.operations.batch_assign import BatchAssigned, assign_batch, updated_space
from rund.operations.batch_rows import BatchRows, assign_rows, check_rows, rows_from_json, rows_to_json
from rund.operations.series import MAX_TOGETHER


def operation(*flags: FlagDef, kind: OperationKind = OperationKind.PYTHON) -> Operation:
    return Operation(name="t.py", kind=kind, entry="t.py", flags=flags, project_dir="/p", cwd="/p", target="/p/t.py")


ECHO = operation(
    FlagDef(name="x", type=FlagType.FLOAT, default=1.0, passing=Passing.LITERAL),
    FlagDef(name="y", type=FlagType.INT, default=2, passing=Passing.LITERAL),
    FlagDef(name="z", type=FlagType.STR, default="a", passing=Passing.LITERAL),
)
TRAIN = operation(
    FlagDef(name="data", type=FlagType.STR, declared=True, required=True, option="--data"),
    FlagDef(name="learning-rate", type=FlagType.FLOAT, declared=True, default=0.1, option="--learning-rate"),
    FlagDef(name="sizes", type=FlagType.INT, declared=True, nargs="+", default=[1], option="--sizes"),
)


def assign(
    of: Operation, *args: str, before: BatchAssigned | None = None, force: bool = False, has_rows: bool = False
) -> BatchAssigned:
    base, given = (None, frozenset[str]()) if before is None else (before.space, before.given)
    return assign_batch(of, read_args(args), base=base, given=given, force=force, has_rows=has_rows)


def test_lists_and_functions_vary_and_the_rest_is_fixed_in_the_order_of_the_operation():
    assigned = assign(ECHO, "z=[a,b]", "x=[0.5:2]")
    assert assigned.space.fixed == {"y": 2}
    assert assigned.space.varying == {"z": Choices(values=("a", "b")), "x": Uniform(low=0.5, high=2.0)}
    assert assigned.space.order == ("x", "y", "z")
    assert assigned.given == {"x", "z"}
    assert assigned.is_batch


def test_single_values_make_no_batch_and_are_those_of_a_single_run():
    assigned = assign(ECHO, "x=3", "z=b")
    single = assign_flags(ECHO, read_args(["x=3", "z=b"]), base=None, given=frozenset(), force=False)
    assert not assigned.is_batch
    assert assigned.space.fixed == single.flags
    assert assigned.given == single.given


def test_a_restart_changes_what_is_given_and_keeps_the_rest():
    first = assign(ECHO, "x=[1,2]", "y=[2,3]")
    second = assign(ECHO, "x=1", before=first)
    assert second.space.fixed == {"x": 1.0, "z": "a"}
    assert second.space.varying == {"y": Choices(values=(2, 3))}
    third = assign(ECHO, "y=", "x=[1,2,3]", before=second)
    assert third.space.fixed == {"y": 2, "z": "a"}
    assert third.given == {"x"}
    assert assign(ECHO, before=third).space == third.space


def test_flags_let_pass_stay_and_are_taken_away_by_an_empty_value():
    first = assign(ECHO, "extra=[1,2]", force=True)
    assert first.space.order == ("x", "y", "z", "extra")
    assert assign(ECHO, "extra=[3]", before=first).space.varying == {"extra": Choices(values=(3,))}
    assert assign(ECHO, "extra=", before=first).space.order == ("x", "y", "z")


def test_an_executable_without_flags_takes_any():
    program = operation(kind=OperationKind.EXECUTABLE)
    assert assign(program, "n=[1,2]").space.varying == {"n": Choices(values=(1, 2))}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lerning_rate=[1,2]", "data=d"], "did you mean learning-rate"),
        (["learning-rate=[1,2]", "learning_rate=3", "data=d"], "twice"),
        (["learning-rate=[a]", "data=d"], "^learning-rate: expected a number"),
        (["learning-rate=[1,2]"], "give data=VALUE"),
        (["data="], "give data=VALUE"),
    ],
)
def test_what_a_single_run_refuses_a_batch_refuses(args: list[str], message: str):
    with pytest.raises(InvalidError, match=message):
        assign(TRAIN, *args)


def test_typed_lists_are_lists_of_values_and_strings_stay_strings():
    typed = read_typed({"data": "[1,2]", "learning_rate": [1, 0.5], "sizes": [3, 4]})
    assigned = assign_batch(TRAIN, typed, base=None, given=frozenset(), force=False)
    assert assigned.space.fixed == {"data": "[1,2]", "sizes": [3, 4]}
    varying = assigned.space.varying["learning-rate"]
    assert isinstance(varying, Choices)
    assert list(map(value_key, varying.values)) == ["f1.0", "f0.5"]
    grid = assign_batch(
        TRAIN, read_typed({"sizes": [[1], [2, 3]]}), base=assigned.space, given=frozenset(), force=False
    )
    assert grid.space.varying["sizes"] == Choices(values=([1], [2, 3]))


def test_a_new_operation_keeps_what_was_given_and_takes_its_own_defaults():
    first = assign(ECHO, "x=[1,2]", "y=7")
    newer = operation(
        FlagDef(name="w", default=5, passing=Passing.LITERAL),
        FlagDef(name="x", type=FlagType.INT, default=9, passing=Passing.LITERAL),
        FlagDef(name="z", type=FlagType.STR, default="new", passing=Passing.LITERAL),
    )
    assert space_values(updated_space(ECHO, newer, first.space, first.given)) == {
        "w": 5,
        "x": Choices(values=(1.0, 2.0)),
        "z": "new",
    }
    ints = operation(FlagDef(name="x", type=FlagType.INT, declared=True, option="--x"))
    with pytest.raises(InvalidError, match=r"^x: expected an integer"):
        updated_space(ECHO, ints, first.space, first.given)


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text("abc", min_size=1)


@given(st.dictionaries(st.sampled_from(["x", "y", "z"]), SCALARS))
def test_one_path_gives_single_runs_and_batches_their_flags(flags: dict[str, FlagValue]):
    single = assign_flags(ECHO, read_typed(flags), base=None, given=frozenset(), force=False)
    batch = assign_batch(ECHO, read_typed(flags), base=None, given=frozenset(), force=False)
    assert {name: value_key(value) for name, value in single.flags.items()} == {
        name: value_key(value) for name, value in batch.space.fixed.items()
    }
    assert list(single.flags) == list(batch.space.order)


def rows(of: Operation, given_rows: BatchRows, *args: str, force: bool = False) -> list[Row]:
    assigned = assign(of, *args, has_rows=True)
    return assign_rows(of, given_rows, space=assigned.space, given=assigned.given, force=force)


def typed(*maps: Any) -> BatchRows:
    return check_rows(maps, "t.json")


def textual(*maps: dict[str, str]) -> BatchRows:
    return check_rows(maps, "t.csv", textual=True)


def test_cells_of_text_are_read_by_the_type_of_the_flag_and_an_empty_one_is_the_default():
    read = rows(ECHO, textual({"x": "1", "y": "", "z": "5"}, {"x": "[1,2]", "y": "[1:9]", "z": "null"}))
    assert read == [{"x": 1.0, "z": "5"}, {"x": Choices(values=(1.0, 2.0)), "y": Uniform(low=1, high=9), "z": "null"}]
    assert value_key(read[0]["x"]) == "f1.0"  # type: ignore[arg-type]  # it is a value


def test_typed_rows_are_taken_as_they_are():
    assert rows(ECHO, typed({"x": 1, "z": "[1]"}, {"y": [1, 2]}, {})) == [
        {"x": 1.0, "z": "[1]"},
        {"y": Choices(values=(1, 2))},
        {},
    ]


def test_a_flag_given_beside_the_file_holds_in_every_row_until_it_is_lifted():
    file = textual({"x": "1", "y": "3"}, {"x": "2", "y": "4"})
    assert rows(ECHO, file, "y=[7,8]") == [{"x": 1.0}, {"x": 2.0}]
    assert rows(ECHO, file, "y=") == [{"x": 1.0, "y": 3}, {"x": 2.0, "y": 4}]


def test_names_in_rows_are_spelled_as_the_operation_spells_them():
    assert rows(TRAIN, typed({"learning_rate": 1, "data": "d"})) == [{"learning-rate": 1.0, "data": "d"}]


def test_a_required_flag_may_come_from_every_row():
    assert rows(TRAIN, typed({"data": "d"}))
    assert rows(TRAIN, typed({}), "data=d") == [{}]
    with pytest.raises(InvalidError, match=r"^t.json: row 2: data: .* give data=VALUE") as caught:
        rows(TRAIN, typed({"data": "d"}, {"learning-rate": 1}))
    assert caught.value.field == "data"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"w": 1}, "t.json: row 2: w: t.py has no such flag"),
        ({"y": []}, "t.json: row 2: y: the list is empty"),
        (5, "t.json: row 2: expected a map of flags, got int"),
        (None, "t.json: row 2: expected a map of flags, got null"),
        ({"x": {"a": 1}}, "t.json: row 2: x: a flag's value is"),
        ({"x": 2**64}, "t.json: row 2: x: the integer does not fit"),
        ({"a b": 1}, "t.json: row 2: 'a b' is not a flag's name"),
        ({1: 1}, "t.json: row 2: 1 is not a flag's name"),
        ({"a-b": 1, "a_b": 2}, "t.json: row 2: a_b: the flag is given twice"),
    ],
)
def test_a_bad_row_is_refused_with_its_number(bad: Any, message: str):
    with pytest.raises(InvalidError) as caught:
        rows(ECHO, typed({"x": 1}, bad))
    assert caught.value.message.startswith(message)


def test_a_bad_cell_is_refused_with_its_row():
    with pytest.raises(InvalidError, match=r"^t.csv: row 1: x: the list '\[1' does not end"):
        rows(ECHO, textual({"x": "[1"}))


def test_no_rows_are_refused():
    with pytest.raises(InvalidError, match="no rows"):
        check_rows([], "t.json")


def test_flags_let_pass_are_taken_in_rows():
    assert rows(ECHO, typed({"w": 1}), force=True) == [{"w": 1}]
    before = Space(fixed={"x": 1.0, "y": 2, "z": "a", "w": 0}, varying={})
    assert assign_rows(ECHO, typed({"w": 1}), space=before, given=frozenset(), force=False) == [{"w": 1}]


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), SCALARS, max_size=2), min_size=1), st.booleans())
def test_rows_are_stored_and_read_back(maps: list[dict[str, Any]], text: bool):
    before = check_rows(maps, "t.json", textual=text)
    after = rows_from_json(rows_to_json(before))
    assert rows_to_json(after) == rows_to_json(before)
    assert (after.where, after.textual, len(after.rows)) == ("t.json", text, len(maps))


def test_the_lists_of_all_flags_have_a_bound_together():
    million = "range[1:1000000]"
    both = assign(ECHO, f"x={million}", f"y={million}")
    assert sum(len(each.values) for each in both.space.varying.values() if isinstance(each, Choices)) == MAX_TOGETHER
    assert assign(ECHO, "y=[1,2]", before=both).is_batch, "another list in the place of one"
    for last in ("z=[a,b]", "z=range[1:2]", "z=linspace[0:1:1000000]"):
        with pytest.raises(InvalidError, match="more than 2,000,000 values together: give shorter lists") as refused:
            assign(ECHO, f"x={million}", f"y={million}", last)
        assert refused.value.field == "z"
    with pytest.raises(InvalidError, match="together"):
        assign(ECHO, "z=[a,b]", before=both)
    typed = [*read_args([f"x={million}", f"y={million}"]), *read_typed({"z": ["a"]})]
    with pytest.raises(InvalidError, match="z: the lists of all flags have more than"):
        assign_batch(ECHO, typed, base=None, given=frozenset(), force=False)


def test_the_functions_in_a_files_rows_have_a_bound_together():
    rows = check_rows([{"x": f"range[{number}:1000000]"} for number in (1, 2, 3)], "t.csv", textual=True)
    same = check_rows([{"x": "range[1:1000000]"}] * 4, "t.csv", textual=True)
    space = assign(ECHO).space
    assert len(assign_rows(ECHO, same, space=space, given=frozenset(), force=False)) == 4, "one list, held once"
    with pytest.raises(InvalidError, match=r"t\.csv: row 3: x=range.* values together"):
        assign_rows(ECHO, rows, space=space, given=frozenset(), force=False)
