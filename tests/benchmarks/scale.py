"""A store of 1,000,000 runs, in which a batch of 100,000 trials is made and worked through: what changes over time.

The trials are `/bin/true`, in 4 slots.  Another client asks meanwhile, 20 times a second.  Each tenth of the trials is a
sample: memory and times of the first tenth and of the last are compared.
"""

from __future__ import annotations

import select
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runctl.client import Client

from tests.benchmarks.kept_store import kept_store
from tests.benchmarks.lister import LIST, Lister, Requests, percentile
from tests.benchmarks.own_daemon import OwnDaemon, own_daemon
from tests.benchmarks.row import Row

OPTIONS = ("store", "trials")
ROUNDS = 1
RUNS, QUICK_RUNS = 1_000_000, 1_000
TRIALS, QUICK = 100_000, 40
SAMPLES, QUICK_SAMPLES = 10, 2
SLOTS = 4
SLOWER = 1.1  # the last tenth of the trials, of the first
LIST_BOUND = 50.0  # milliseconds
MEMORY_BOUND = 75.0  # megabytes
_PAUSE = 0.05  # seconds between two requests of the other client
_LOOK = 0.2  # seconds between two looks at how far the batch is


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One part of the trials."""

    done: int  # trials at its end, of all
    each: float  # milliseconds, for each trial of the part
    processor: float  # milliseconds of processors, for each
    memory: float  # megabytes of the daemon at its end
    database: float  # megabytes
    log: float  # megabytes
    asked: dict[str, list[float]]  # milliseconds of each request of the other client, by name


def run(rounds: int, *, quick: bool, store: Path | None = None, trials: int | None = None) -> list[Row]:
    """The rows of the last of ``rounds`` rounds; the store is kept in the folder ``store``."""
    runs = QUICK_RUNS if quick else RUNS
    trials = trials or (QUICK if quick else TRIALS)
    rows: list[Row] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            database = kept_store(store or Path(name), runs)
            with own_daemon(Path(name) / "rund", slots=SLOTS, store=database) as daemon:
                rows = _Scale(daemon, runs, trials, QUICK_SAMPLES if quick else SAMPLES).rows()
    return rows


class _Scale:
    def __init__(self, daemon: OwnDaemon, runs: int, trials: int, samples: int) -> None:
        self._daemon = daemon
        self._runs = runs
        self._trials = trials
        self._samples = samples

    def rows(self) -> list[Row]:
        rest = self._daemon.proportional()
        with closing(Client(self._daemon.env, start=False)) as client:
            client.call("pause")
            with Lister(self._daemon.env) as lister:
                begun = time.perf_counter()
                batch = self._make(client)
                made = time.perf_counter() - begun
                listed = _all(lister)[LIST]
            pending = self._daemon.proportional()
            samples = self._work(client, batch)
        beside = f"{self._trials:,} trials beside {self._runs:,} runs"
        return [
            Row(work=f"making {beside}", value=made, unit="s"),
            Row(work="list meanwhile, 99th percentile", value=percentile(listed) * 1000, unit="ms", bound=LIST_BOUND),
            Row(work="memory at rest, before", value=rest, unit="MB"),
            Row(work="memory, all of them pending", value=pending, unit="MB", bound=MEMORY_BOUND),
            _over_time("each trial", [each.each for each in samples], "ms", SLOWER),
            _over_time("each trial, processor time", [each.processor for each in samples], "ms"),
            _over_time("memory", [each.memory for each in samples], "MB"),
            _over_time("database", [each.database for each in samples], "MB"),
            _over_time("log", [each.log for each in samples], "MB"),
            *(row for name in samples[0].asked for row in _asked_rows(name, samples)),
        ]

    def _make(self, client: Client) -> str:
        params = {"cwd": str(self._daemon.folder), "env": self._daemon.env, "force_flags": True}
        answer = client.call("run", operation="/bin/true", args=[f"n=range[1:{self._trials}]"], **params)
        batch: str = answer["run"]["id"]
        return batch

    def _work(self, client: Client, batch: str) -> list[Sample]:
        """Let the trials be run; the samples."""
        samples: list[Sample] = []
        requests: Requests = {
            "list": ("list", {"limit": 20}),
            "list --batch": ("list", {"limit": 20, "batch": batch}),
            "show of the batch": ("show", {"run": batch}),
            "show of the newest run": ("show", {"run": "@1"}),
        }
        with Lister(self._daemon.env, requests, pause=_PAUSE) as lister:
            client.call("resume")
            done, begun, processor = 0, time.perf_counter(), self._daemon.processor()
            while done < self._trials:
                due = self._trials * (len(samples) + 1) // self._samples
                before, done = done, self._wait_for(client, batch, min(due, self._trials))
                taken, used = time.perf_counter() - begun, self._daemon.processor() - processor
                begun, processor = time.perf_counter(), self._daemon.processor()
                samples.append(self._sample(done, done - before, taken, used, _all(lister)))
                print(f"{done:,} of {self._trials:,} trials", file=sys.stderr, flush=True)
        return samples

    def _wait_for(self, client: Client, batch: str, due: int) -> int:
        """Return when so many trials are completed, and how many are."""
        while True:
            listed: dict[str, Any] = client.call("list", batch=batch, status=["completed"], limit=1)
            if listed["total"] >= due:
                return int(listed["total"])
            select.select([], [], [], _LOOK)

    def _sample(self, done: int, trials: int, taken: float, used: float, asked: dict[str, list[float]]) -> Sample:
        database = self._daemon.database
        return Sample(
            done=done,
            each=taken * 1000 / trials,
            processor=used * 1000 / trials,
            memory=self._daemon.proportional(),
            database=database.stat().st_size / 1e6,
            log=database.with_name(f"{database.name}-wal").stat().st_size / 1e6,
            asked={name: [each * 1000 for each in times] for name, times in asked.items()},
        )


def _all(lister: Lister) -> dict[str, list[float]]:
    """What was asked since the last time: of each request once at least."""
    taken = lister.take_all()
    while not all(taken.values()):
        select.select([], [], [], _PAUSE)
        for name, times in lister.take_all().items():
            taken[name] += times
    return taken


def _over_time(work: str, values: list[float], unit: str, bound: float | None = None) -> Row:
    return Row(
        work=f"{work}, last tenth",
        value=values[-1],
        unit=unit,
        against="the first",
        ratio=values[-1] / values[0],
        bound=bound,
        over_time=tuple(values),
    )


def _asked_rows(name: str, samples: list[Sample]) -> list[Row]:
    medians = [percentile(each.asked[name], 0.5) for each in samples]
    highest = [percentile(each.asked[name]) for each in samples]
    return [
        _over_time(f"{name}, median", medians, "ms"),
        Row(
            work=f"{name}, 99th percentile, highest",
            value=max(highest),
            unit="ms",
            bound=LIST_BOUND,
            over_time=tuple(highest),
        ),
    ]
