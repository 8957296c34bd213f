"""A flush that fails while a source is copied is never taken for one that worked."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.kill_points import require_strace

# Copies the same source twice, and says what came of it.
COPY = """
import sys
from pathlib import Path
from rund.errors import InternalError
from rund.operations.source import Sources, scan_source

sources = Sources(Path(sys.argv[2]))
for _ in range(2):
    try:
        print("copied", sources.copy(scan_source(Path(sys.argv[1]), "a.py", marked=True)))
    except InternalError:
        print("refused")
"""
FILES = ("a.py", "b.py", "folder/c.py")
FLUSHES = 6  # of the three files, their two folders, and the folder of all copies


@pytest.mark.parametrize("number", range(1, FLUSHES + 1))
def test_a_copy_is_used_only_after_each_of_its_flushes_has_worked(
    tmp_path: Path, number: int, record_property: Callable[[str, object], None]
) -> None:
    require_strace()
    record_property("points", 1)
    project, copies, trace = tmp_path / "project", tmp_path / "copies", tmp_path / "trace"
    for name in FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)
    said = subprocess.run(
        [
            *("strace", "-f", "-y", "-o", trace, "-e", "trace=fsync,rename"),
            *("-e", f"inject=fsync:error=EIO:when={number}"),
            *(sys.executable, "-c", COPY, project, copies),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert [line.split()[0] for line in said] == ["refused", "copied"]
    digest = said[1].split()[1]
    assert [path.name for path in copies.iterdir()] == [digest]
    lines = trace.read_text().splitlines()
    (renamed,) = [at for at, line in enumerate(lines) if " rename(" in line and digest in line]
    (made,) = re.findall(r"\.copying-\w+", lines[renamed])
    for name in (*FILES, "folder", ""):
        path = copies / made / name
        assert [line for line in lines[:renamed] if f"<{path}>) = 0" in line], f"{path} was not flushed"
        assert not [line for line in lines if f"<{path}>) = -1" in line], f"{path} was used after a failed flush"
    assert f"<{copies}>) = 0" in "".join(lines[renamed:]), "its name was not flushed"
