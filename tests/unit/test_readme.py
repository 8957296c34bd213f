"""What README.md says of faults is shown by tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_ROWS = [
    line
    for line in (ROOT / "README.md").read_text("utf-8").partition("\n## Faults\n")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ")
][2:]


def test_there_is_a_table() -> None:
    assert len(_ROWS) > 10


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_row_names_tests_that_are_there(row: str) -> None:
    _, _fault, _happens, shown, _ = row.split("|")
    links = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", shown)
    assert links
    assert len(links) == shown.count("](")
    for name, path in links:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name == Path(path).stem or name in functions, (name, path)
