"""The house rules, as ordinary tests: style, types, one direction of imports, names, sizes."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "rund").rglob("*.py"), *(ROOT / "client").rglob("*.py")])
LARGEST = 500
MEDIAN = 150


def run(*command: str) -> None:
    # A terminal's colours, if forced from outside, would only hide the message.
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "PY_COLORS")}
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_ruff_would_format_nothing() -> None:
    run("ruff", "format", "--no-cache", "--check", ".")


@pytest.mark.timeout(300)
def test_mypy_finds_nothing() -> None:
    run("mypy")


def test_imports_go_one_way() -> None:
    script = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    result = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_files_are_small() -> None:
    lines = {path: path.read_text("utf-8").count("\n") for path in SOURCES}
    assert not {str(path): count for path, count in lines.items() if count > LARGEST}
    assert statistics.median(lines.values()) < MEDIAN


def test_no_file_is_named_for_nothing() -> None:
    vague = {"utils", "helpers", "common", "base", "manager", "misc"}
    assert not [path for path in SOURCES if path.stem in vague]


def test_words_of_other_tools_are_not_used() -> None:
    # Section 2 of the words: these are called run, trial, attempt, batch, error and terminated here.
    other = re.compile(r"\b(experiments?|sweeps?|hyperparams?)\b", re.IGNORECASE)
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if other.search(line)
    ]
    assert not found


def test_top_level_is_fixed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    folders = {"rund", "client", "tests", "systemd", "examples"}
    files = {"pyproject.toml", "README.md", "PROTOCOL.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"}
    assert {name for name in top if not name.startswith(".")} <= folders | files
