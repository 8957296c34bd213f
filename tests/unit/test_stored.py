"""What the store keeps as JSON: whatever stands there, it is read as what it should be, or told to be damaged."""

from __future__ import annotations

import contextlib
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.engine.trials import optimizer_for
from rund.errors import InvalidError
from rund.handlers.generating import shown_flags
from rund.model.batch import Prototype
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.run import Setup
from rund.model.space import Choices, LogUniform, Space, Uniform
from rund.model.values import trial_key
from rund.operations.stored import environment_from_json, operation_from_json, operation_to_json
from rund.operations.stored_space import space_from_json, space_to_json
from rund.protocol.encoding import pack
from rund.store.codec import dump, read_flags, read_scalars, read_texts, setup_from_row, setup_options
from rund.store.damage import FAULTS
from rund.store.prototypes import prototype_from_json, prototype_to_json

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OPERATION = Operation(
    name="train.py",
    kind=OperationKind.PYTHON,
    entry="train.py",
    arguments=("\udcff",),
    flags=(
        FlagDef(name="lr", type=FlagType.FLOAT, default=0.1, choices=(0.1, None), nargs="+", passing=Passing.OPTION),
        FlagDef(name="x", default=[1, [math.inf]]),
    ),
    project_dir="/p",
    cwd="/p",
    target="/p/train.py",
)
SETUP = Setup(
    operation="0" * 32,
    source="s",
    environment="1" * 32,
    commit="abc",
    taken=3,
    given=frozenset({"lr", "\udcff"}),
    random_seed=2**32 - 1,
    slots=2,
    priority=-5,
    inputs=(("data", "/p/\udcff"),),
    clean=True,
)


@st.composite
def altered(draw: st.DrawFn, text: str) -> str:
    """JSON with something else in place of a part of it."""

    def alter(value: object) -> object:
        if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
            copy = value.copy()
            key = draw(st.sampled_from(sorted(copy) if isinstance(copy, dict) else range(len(copy))))
            if isinstance(copy, dict) and not draw(st.integers(0, 4)):
                del copy[key]
            else:
                copy[key] = alter(copy[key])
            return copy
        return draw(ANY)

    return json.dumps(alter(json.loads(text)))


def test_what_is_kept_is_read_back() -> None:
    assert operation_from_json(operation_to_json(OPERATION)) == OPERATION
    options = setup_options(SETUP)
    assert setup_from_row((SETUP.operation, SETUP.environment, SETUP.source, options)) == SETUP
    assert environment_from_json('{"PATH":"/bin","N":"\\udcff"}') == {"PATH": "/bin", "N": "\udcff"}


@given(altered(operation_to_json(OPERATION)))
def test_an_operation_is_read_whole_or_told_to_be_damaged(text: str) -> None:
    with contextlib.suppress(InvalidError):
        operation = operation_from_json(text)
        assert operation_from_json(operation_to_json(operation)) == operation or "NaN" in text
        assert all(isinstance(each, str) for each in (operation.name, *(flag.name for flag in operation.flags)))
        pack(operation.name)
        os.fsencode("".join((operation.entry, operation.project_dir, *operation.arguments)))
        pack([[flag.name, flag.default, list(flag.choices or ())] for flag in operation.flags])


@given(altered(setup_options(SETUP)))
def test_a_setup_is_read_whole_or_told_to_be_damaged(text: str) -> None:
    with contextlib.suppress(*FAULTS):
        setup = setup_from_row((SETUP.operation, SETUP.environment, SETUP.source, text))
        assert setup.slots >= 1
        again = setup_from_row((SETUP.operation, SETUP.environment, SETUP.source, setup_options(setup)))
        assert again == setup
        pack([setup.random_seed, setup.priority, setup.taken])
        os.fsencode("".join(target for _, target in setup.inputs))


SPACE = Space(
    fixed={"b": [1, None]},
    varying={
        "x": Choices(values=(1, 2.0), text="[1,2.0]"),
        "y": Uniform(low=0, high=9),
        "z": LogUniform(low=0.1, high=1.0),
        "n": Choices(values=(1, 2, 3), text="range[1:3]"),
    },
    order=("x", "b"),
)
PROTOTYPE = Prototype(space=SPACE, rows=None, max_trials=3, jobs=2, retries=1)


def test_a_prototype_is_read_back() -> None:
    assert prototype_from_json(prototype_to_json(PROTOTYPE)) == PROTOTYPE


@given(altered(space_to_json(SPACE)))
def test_a_space_is_read_whole_or_told_to_be_damaged(text: str) -> None:
    with contextlib.suppress(*FAULTS):
        space = space_from_json(text)
        assert space_to_json(space_from_json(space_to_json(space))) == space_to_json(space)
        pack(shown_flags(space))
        optimizer_for(space, None, rows=False)


@given(altered(prototype_to_json(PROTOTYPE)))
def test_a_prototype_is_read_whole_or_told_to_be_damaged(text: str) -> None:
    with contextlib.suppress(*FAULTS):
        prototype = prototype_from_json(text)
        pack([prototype.max_trials, prototype.jobs, prototype.retries, prototype.fail_fast])


@given(altered('{"PATH":"/bin"}'))
def test_an_environment_is_texts_by_texts_or_told_to_be_damaged(text: str) -> None:
    with contextlib.suppress(InvalidError):
        assert all(isinstance(each, str) for pair in environment_from_json(text).items() for each in pair)


@given(altered('{"x":[1,2.0],"y":"z"}'))
def test_flags_can_be_compared_and_sent_or_are_damaged(text: str) -> None:
    with contextlib.suppress(*FAULTS):
        flags = read_flags(text)
        assert trial_key(read_flags(dump(flags))) == trial_key(flags)
        pack(flags)


@given(altered('{"loss":0.5}'), altered('["/bin/true","-x"]'))
def test_scalars_and_texts(scalars: str, texts: str) -> None:
    with contextlib.suppress(*FAULTS):
        assert all(math.isnan(value) or value == value + 0 for value in read_scalars(scalars).values())
        pack(read_scalars(scalars))
    with contextlib.suppress(*FAULTS):
        assert all(isinstance(text, str) for text in read_texts(texts))


@pytest.mark.parametrize("read", [read_flags, read_scalars, read_texts, operation_from_json, environment_from_json])
def test_json_of_any_depth_is_no_fault_of_ours(read: object) -> None:
    assert callable(read)
    with pytest.raises((*FAULTS, InvalidError)):
        read('{"x":' + "[" * 100_000 + "]" * 100_000 + "}")
