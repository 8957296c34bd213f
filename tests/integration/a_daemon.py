"""Submits shell scripts as a daemon would, tells when that is done, and waits to be killed.

``python -m tests.integration.a_daemon BASE MARK SCRIPT...``: attempt N runs script N in ``BASE/N-MARK``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

from rund.executor.backend import Submission
from rund.executor.local import LocalBackend


async def main() -> None:
    base, mark, scripts = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    submissions = [
        Submission(
            token=str(number),
            directory=base / f"{number}-{mark}",
            cwd=base,
            argv=("sh", "-c", script),
            environment=dict(os.environ),
            grace=20.0,
        )
        for number, script in enumerate(scripts)
    ]
    async with LocalBackend() as backend:
        for submission in submissions:
            submission.directory.mkdir()
        refused = await backend.submit(submissions)
        print(f"refused {refused}", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main)
