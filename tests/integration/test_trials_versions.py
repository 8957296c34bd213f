"""The same seed gives the same trials, bit by bit, under every Python that rund runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.expected_trials.cases import FOLDER

ROOT = Path(__file__).parents[2]
CODE = """\
import sys
from tests.unit.expected_trials.cases import FOLDER, case_text, read_case
print(*sys.version_info[:2])
for path in sorted(FOLDER.glob("*.json")):
    assert case_text(read_case(path.stem)) + "\\n" == path.read_text("utf-8"), path.stem
    print(path.stem)
"""


def interpreter(minor: int) -> str | None:
    """A Python 3.``minor``: the one of the tests, on the PATH, or among `RUND_TEST_PYTHONS` (paths with colons)."""
    if sys.version_info[:2] == (3, minor):
        return sys.executable
    others = [path for path in os.environ.get("RUND_TEST_PYTHONS", "").split(":") if path.endswith(f"python3.{minor}")]
    return next(iter(others), None) or shutil.which(f"python3.{minor}")


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_every_version_generates_the_expected_trials(minor: int) -> None:
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} here")
    # Only the pure parts are imported, which need nothing but Python itself.
    result = subprocess.run(
        [python, "-c", CODE], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if f"python3.{minor}: command not found" in result.stderr:
        pytest.skip("a pyenv shim of a version that is not chosen")
    assert result.returncode == 0, result.stderr
    version, *names = result.stdout.splitlines()
    assert version == f"3 {minor}"
    assert names == sorted(path.stem for path in FOLDER.glob("*.json"))
