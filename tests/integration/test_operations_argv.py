"""Flags come through the command line as argparse's own values, in real interpreters."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rund.errors import InvalidError
from rund.model.operation import Operation, OperationKind
from rund.model.values import FlagValue, value_key
from rund.operations.assign import assign_flags, read_typed
from rund.operations.command import command_line
from rund.operations.script_flags import read_flags
from tests.integration.python_versions import interpreters

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", "-", "--", "[", "[1]", "'q'", "range[1:3]", "-a", "--f0", "-1", "-1e5", "a b", "-a b", "=", "--f0=3", "null"]
)
FLOATS = st.floats() | st.sampled_from([-1e-7, -1e300, -5.0, -0.0])
INTS = st.integers(-(2**63), 2**63)
BY_TYPE: dict[str, st.SearchStrategy[FlagValue]] = {"float": FLOATS, "int": INTS, "str": TEXTS, "bool": st.booleans()}

RUNNER = """
import json, sys
def exact(value):
    if isinstance(value, list):
        return [exact(item) for item in value]
    return [type(value).__name__, ascii(value)]
results = []
_, given, answer = sys.argv
for source, argv in json.load(open(given, encoding="utf-8")):
    names = {}
    sys.argv = argv
    try:
        exec(compile(source, "t.py", "exec"), names)
        results.append({name: exact(value) for name, value in vars(names["args"]).items()})
    except SystemExit as error:
        results.append("exit %s: %s" % (error, argv))
json.dump(results, open(answer, "w"))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A script, and typed values for its flags."""

    source: str
    values: dict[str, FlagValue]


@st.composite
def arguments(draw: st.DrawFn, number: int) -> tuple[str, str, FlagValue]:
    """The call of one ``add_argument``, the name of its flag, and a value for it."""
    name = f"f{number}"
    kind = draw(st.sampled_from(sorted(BY_TYPE)))
    values = BY_TYPE[kind]
    option = draw(st.sampled_from([f"--{name}", f"-{name}"]))
    form = draw(st.sampled_from(["plain", "plain", "switch", "many", "positional", "choices", "append", "count"]))
    if form == "switch":
        action = draw(st.sampled_from(["store_true", "store_false"]))
        return f"'{option}', action='{action}'", name, draw(st.booleans())
    if form == "count":
        return f"'{option}', action='count', default=0", name, draw(st.integers(0, 5))
    if form == "append":
        items = draw(st.lists(values, min_size=1, max_size=3))
        return f"'{option}', action='append', type={kind}", name, items
    if form == "many":
        nargs = draw(st.sampled_from(["+", "*", 2]))
        size = {"+": (1, 4), "*": (0, 4), 2: (2, 2)}[nargs]
        return (
            f"'{option}', nargs={nargs!r}, type={kind}",
            name,
            draw(st.lists(values, min_size=size[0], max_size=size[1])),
        )
    if form == "positional":
        return f"'{name}', type={kind}", name, draw(values)
    if form == "choices":
        choices = draw(st.lists(TEXTS, min_size=1, max_size=3))
        return f"'{option}', choices={choices!r}", name, draw(st.sampled_from(choices))
    default = draw(values.filter(lambda value: value != "--"))  # which no command line can carry
    written = f"float('{default}')" if isinstance(default, float) else repr(default)
    return f"'{option}', type={kind}, default={written}", name, draw(st.none() | values)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    calls = [draw(arguments(number)) for number in range(draw(st.integers(1, 5)))]
    lines = ["import argparse", "parser = argparse.ArgumentParser()"]
    lines += [f"parser.add_argument({call})" for call, _, _ in calls]
    source = "\n".join([*lines, "args = parser.parse_args()", ""])
    return Case(source, {name: value for _, name, value in calls if value is not None})


def exact(value: FlagValue) -> object:
    if isinstance(value, list):
        return [exact(item) for item in value]
    return [type(value).__name__, ascii(value)]


def prepared(case: Case) -> tuple[list[str], dict[str, object]] | None:
    """The command line of a case and what its script must parse; None if its values are refused."""
    operation = Operation(
        name="t.py",
        kind=OperationKind.PYTHON,
        entry="t.py",
        flags=read_flags(case.source, "t.py"),
        project_dir="/p",
        cwd="/p",
        target="/p/t.py",
    )
    try:
        flags = assign_flags(operation, read_typed(case.values), base=None, given=frozenset(), force=False).flags
    except InvalidError as error:
        # What no command line can carry: "--", and several values of which one looks like an option.
        if "would be taken for" in error.message:
            return None
        raise
    for name, value in case.values.items():
        assert value_key(flags[name]) == value_key(value)
    line = command_line(operation, flags, source_dir=Path("/s"), python="python")
    return [*line.argv[1:]], {name: exact(value) for name, value in flags.items()}


@pytest.mark.parametrize("python", interpreters(), ids=os.path.basename)
# Each batch is one process; shrinking it would start hundreds.
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(batch=st.lists(cases(), min_size=20, max_size=40))
def test_what_argparse_parses_equals_the_flags(python: str, batch: list[Case], tmp_path_factory):
    folder = tmp_path_factory.mktemp("argv")
    runnable = [(case, ready) for case in batch if (ready := prepared(case)) is not None]
    (folder / "cases").write_text(json.dumps([(case.source, ready[0]) for case, ready in runnable]), encoding="utf-8")
    subprocess.run(
        [python, "-c", RUNNER, folder / "cases", folder / "results"], check=True, timeout=120, stderr=subprocess.DEVNULL
    )
    results = json.loads((folder / "results").read_text())
    wrong = [
        (case.source.splitlines()[2:-1], argv, parsed, expected)
        for (case, (argv, expected)), parsed in zip(runnable, results, strict=True)
        if parsed != expected
    ]
    assert not wrong, wrong[0]
