"""Another client, in a process of its own, that lists runs all the while and tells what each `list` took.

``python -m tests.benchmarks.lister``: a line of standard input asks for the seconds that were taken since the last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from runctl.client import Client

ROOT = Path(__file__).parents[2]
_PAUSE = 0.002  # seconds between two lists


class Lister:
    """A client that lists, as long as the context lasts."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.benchmarks.lister"]
        self._process = subprocess.Popen(
            command, env=self._env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def take(self) -> list[float]:
        """Seconds of each `list` that was answered since the last take."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        taken: list[float] = json.loads(self._process.stdout.readline())
        return taken


def percentile(taken: Sequence[float], part: float = 0.99) -> float:
    """The value that ``part`` of ``taken`` do not exceed; 0 if there are none."""
    return sorted(taken)[int(part * (len(taken) - 1))] if taken else 0.0


def main() -> None:
    client = Client(dict(os.environ), start=False)
    taken: list[float] = []
    over = threading.Event()

    def tell() -> None:
        for _ in sys.stdin:
            print(json.dumps(taken[:]), flush=True)
            taken.clear()
        over.set()

    threading.Thread(target=tell).start()
    while not over.wait(_PAUSE):
        begun = time.perf_counter()
        client.call("list", limit=20)
        taken.append(time.perf_counter() - begun)
    client.close()


if __name__ == "__main__":
    main()
