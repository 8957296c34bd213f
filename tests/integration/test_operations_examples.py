"""The examples do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rund.operations.assign import assign_flags, read_args
from rund.operations.command import command_line
from rund.operations.find import find_operation
from rund.operations.scalars import read_scalars
from rund.operations.source import Sources, scan_source

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name: str, *args: str, copies: Path) -> str:
    found = find_operation(name, cwd=EXAMPLES, env=os.environ)
    assert found.root is not None
    flags = assign_flags(found.operation, read_args(args), base=None, given=frozenset(), force=False).flags
    digest = Sources(copies).copy(scan_source(found.root, found.script, marked=found.marked))
    line = command_line(found.operation, flags, source_dir=copies / digest, python=sys.executable)
    done = subprocess.run(
        line.argv, env={**os.environ, **line.environment}, check=True, capture_output=True, text=True, timeout=100
    )
    return done.stdout


def test_echo_prints_its_flags(tmp_path: Path):
    assert run_example("echo.py", copies=tmp_path) == "1.0 2 'a'\n"
    assert run_example("echo.py", "x=3", "y=5", copies=tmp_path) == "3.0 5 'a'\n"


def test_digits_prints_an_accuracy_that_its_flags_change(tmp_path: Path):
    pytest.importorskip("sklearn")
    good = read_scalars(run_example("digits.py", copies=tmp_path))["accuracy"]
    poor = read_scalars(run_example("digits.py", "gamma=0.1", copies=tmp_path))["accuracy"]
    assert good > 0.97 > poor > 0
