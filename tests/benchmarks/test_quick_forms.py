"""Each benchmark runs, in its quick form; what it measures then is not looked at."""

from __future__ import annotations

import importlib

import pytest

from tests.benchmarks.__main__ import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_and_answers_rows(name: str) -> None:
    rows = importlib.import_module(f"tests.benchmarks.{name}").run(1, quick=True)
    assert rows
    assert all(row.value is None or row.value > 0 or row.bound == 0 for row in rows)
