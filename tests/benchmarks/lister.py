"""Another client, in a process of its own, that asks all the while, `list` if not told else, and tells what each took.

``python -m tests.benchmarks.lister PAUSE REQUESTS``: the seconds between two requests, and of each, as JSON, a name, its
method and its params.  A line of standard input asks for the seconds that were taken since the last, by name; it is
answered when at least one of each was.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from runctl.client import Client

ROOT = Path(__file__).parents[2]
LIST = "list"
_PAUSE = 0.002  # seconds between two requests
Requests = Mapping[str, tuple[str, Mapping[str, Any]]]  # by name: a method, and its params
_LISTS: Requests = {LIST: (LIST, {"limit": 20})}


class Lister:
    """A client that asks one after the other of its ``requests``, as long as the context lasts."""

    def __init__(self, env: Mapping[str, str], requests: Requests = _LISTS, *, pause: float = _PAUSE) -> None:
        self._env = dict(env)
        self._arguments = [str(pause), json.dumps(requests)]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.benchmarks.lister", *self._arguments]
        self._process = subprocess.Popen(
            command, env=self._env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.take_all()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def take(self) -> list[float]:
        """Seconds of each `list` that was answered since the last take; the first is waited for."""
        return self.take_all()[LIST]

    def take_all(self) -> dict[str, list[float]]:
        """Seconds of each request that was answered since the last take, by name; the first of each is waited for."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        taken: dict[str, list[float]] = json.loads(self._process.stdout.readline())
        return taken


def percentile(taken: Sequence[float], part: float = 0.99) -> float:
    """The value that ``part`` of ``taken`` do not exceed; 0 if there are none."""
    return sorted(taken)[int(part * (len(taken) - 1))] if taken else 0.0


def main() -> None:
    pause, requests = float(sys.argv[1]), json.loads(sys.argv[2])
    client = Client(dict(os.environ), start=False)
    taken: dict[str, list[float]] = {name: [] for name in requests}
    some = threading.Condition()
    over = threading.Event()

    def tell() -> None:
        for _ in sys.stdin:
            with some:
                some.wait_for(lambda: all(taken.values()))
                told = {name: times[:] for name, times in taken.items()}
                for times in taken.values():
                    times.clear()
            print(json.dumps(told), flush=True)
        over.set()

    threading.Thread(target=tell, daemon=True).start()  # who fails is missed, and does not just ask no more
    for name in itertools.cycle(requests):
        if over.wait(pause):
            break
        method, params = requests[name]
        begun = time.perf_counter()
        client.call(method, **params)
        with some:
            taken[name].append(time.perf_counter() - begun)
            some.notify()
    client.close()


if __name__ == "__main__":
    main()
