"""PROTOCOL.md says what the code does: every method, param, default and example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from rund.api.params import METHODS, ChangeParams, read_params
from rund.api.results import AttemptMap, BatchMap, EventMap, PlanMap, RunMap
from rund.errors import CODES
from rund.model.event import EventKind
from rund.model.status import Status

TEXT = (Path(__file__).parents[2] / "PROTOCOL.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (\w[\w ]*)\n(.*?)(?=^### |^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def rows(section: str) -> list[list[str]]:
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in section.splitlines() if line[:2] == "| "]
    return [row for row in cells if row[0].startswith("`")]


def test_every_method_is_documented_in_order_and_no_other() -> None:
    documented = [name for name in SECTIONS if name in METHODS or re.fullmatch(r"[a-z_]+", name)]
    assert documented == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_params_and_defaults_are_those_of_the_code(method: str) -> None:
    documented = {row[0].strip("`"): row[2].strip("`") for row in rows(SECTIONS[method])}
    fields = {field.name: field for field in msgspec.structs.fields(METHODS[method])}
    if issubclass(METHODS[method], ChangeParams):
        del fields["request_id"]
    assert list(documented) == list(fields)
    for name, default in documented.items():
        field = fields[name]
        if field.required:
            assert default == ""
        else:
            value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            assert default == ("nil" if value is None else json.dumps(value)), name


@pytest.mark.parametrize("method", METHODS)
def test_the_example_is_taken(method: str) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", SECTIONS[method], re.DOTALL)
    read_params(METHODS[method], [json.loads(example)])


@pytest.mark.parametrize(
    ("section", "kind"), [("A run", RunMap), ("A batch", BatchMap), ("An attempt", AttemptMap), ("An event", EventMap)]
)
def test_values_have_the_names_of_the_code(section: str, kind: type) -> None:
    assert [row[0].strip("`") for row in rows(SECTIONS[section])] == [
        name
        for name in kind.__annotations__
        if kind is RunMap or name not in RunMap.__annotations__ or kind is not BatchMap
    ]


def test_plans_codes_kinds_and_statuses_are_those_of_the_code() -> None:
    assert re.findall(r"`(\w+)`", SECTIONS["A plan"].split(", each")[0])[3:] == list(PlanMap.__annotations__)
    errors = TEXT.partition("## Errors")[2].partition("\n## ")[0]
    assert [row[0].strip("`") for row in rows(errors)] == list(CODES)
    assert all(f"`{kind}`" in SECTIONS["An event"] for kind in EventKind)
    assert all(f"`{status}`" in SECTIONS["A run"] for status in Status)
