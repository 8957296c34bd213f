"""The Pythons of this machine that scripts may be run by."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache


@cache
def interpreters() -> list[str]:
    """The interpreter of the tests, and every Python from 3.8 on that is on the PATH and starts."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    # Other versions may be installed side by side with the one that the PATH selects.
    candidates = [f"python3.{minor}" for minor in range(8, 16)] + os.environ.get("RUND_TEST_PYTHONS", "").split(":")
    for name in filter(None, candidates):
        code = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
        try:
            done = subprocess.run([name, "-c", code], capture_output=True, text=True, timeout=120, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            version, executable = done.stdout.splitlines()
            found.setdefault(version, executable)
    return list(found.values())
