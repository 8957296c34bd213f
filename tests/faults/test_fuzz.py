"""Fuzzing: the inputs that are kept are tried always; a short search for new ones, where atheris is installed.

Longer: ``RUND_FULL=1``, or as many inputs as ``RUND_FUZZ_RUNS`` says.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.full_form import FULL
from tests.faults.fuzz_targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SHORT = 4000
RUNS = int(os.environ.get("RUND_FUZZ_RUNS", 100_000 if FULL else SHORT))
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_are_kept_break_no_rule(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 10
    for path in inputs:
        TARGETS[name](path.read_bytes())


@pytest.mark.timeout(300 if RUNS <= SHORT else 14_400)
@pytest.mark.skipif(
    not HAS_ATHERIS and (os.environ.get("CI") != "true" or sys.version_info >= (3, 14)),
    reason="atheris is not installed: pip install '.[fuzz]'",
)
@pytest.mark.parametrize("name", TARGETS)
def test_a_short_search_finds_no_input_that_breaks_a_rule(name: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.faults.fuzz",
        name,
        f"-runs={RUNS}",
        "-seed=1",
        f"-artifact_prefix={tmp_path}/",
    ]
    result = subprocess.run(
        [*command, "-max_len=400", found, CORPUS / name],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"Done {RUNS}" in result.stderr
