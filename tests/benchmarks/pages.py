"""First pages of `list`, and `show`, of a daemon with 1,000,000 runs, against those of one with 1,000 of the same shapes.

Before each request something is committed, so that no answer is one that was kept.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from runctl.client import Client

from tests.benchmarks.kept_store import kept_store
from tests.benchmarks.many_runs import FROM, sample
from tests.benchmarks.own_daemon import OwnDaemon, own_daemon
from tests.benchmarks.row import Row, row_of

OPTIONS = ("store",)
ROUNDS = 5
RUNS, QUICK = 1_000_000, 2_000
FEW = 1_000
EACH, QUICK_EACH = 100, 4  # requests of a kind to each daemon, in a round
BOUND = 1.5
_LARGEST = "largest batch"
_SWEEP = "batch of 499"

_CHOSEN = {  # runs to ask for: a condition on the row
    "single run": "generation IS NULL AND batch IS NULL AND deleted IS NULL AND attempts > 0",
    "trial": "batch IS NOT NULL AND attempts > 0",
    _SWEEP: "generation IS NOT NULL AND (SELECT sum(runs) FROM trial_counts AS c WHERE c.batch = runs.key) = 499",
    _LARGEST: "generation IS NOT NULL AND (SELECT sum(runs) FROM trial_counts AS c WHERE c.batch = runs.key) > 50000",
}
# Name, method, params, of which of those runs, in which param; and whether it must cost the same.  Where it need not, the
# total is counted: it grows with what the filter lets through.
_REQUESTS: tuple[tuple[str, str, dict[str, Any], str | None, str, bool], ...] = (
    ("list", "list", {}, None, "", True),
    ("list --batch", "list", {}, _SWEEP, "batch", True),
    ("show of a single run", "show", {}, "single run", "run", True),
    ("show of a trial", "show", {}, "trial", "run", True),
    ("show of a batch", "show", {}, _SWEEP, "run", True),
    ("show @1", "show", {"run": "@1"}, None, "", True),
    ("list --batch --status error", "list", {"status": ["error"]}, _SWEEP, "batch", True),
    ("list --status error", "list", {"status": ["error"]}, None, "", True),
    ("list --status error,terminated", "list", {"status": ["error", "terminated"]}, None, "", True),
    ("list --trash", "list", {"trash": True}, None, "", True),
    ("list --orphans", "list", {"orphans": True}, None, "", False),
    ("list --label", "list", {"label": "final"}, None, "", False),
    ("list --operation", "list", {"operation": "train.py"}, None, "", False),
    ("list --tag", "list", {"tag": "paper"}, None, "", False),
)
_CHANGES = ("pause", "resume")
_OF_THE_LARGEST = (("list --batch", "list", "batch"), ("show of a batch", "show", "run"))


def run(rounds: int, *, quick: bool, store: Path | None = None) -> list[Row]:
    """The rows of ``rounds`` rounds; the stores are kept in the folder ``store``."""
    runs, each = (QUICK, QUICK_EACH) if quick else (RUNS, EACH)
    taken: dict[tuple[str, int], list[float]] = {}
    memory: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="pages-") as name, ExitStack() as stack:
        daemons: dict[int, OwnDaemon] = {}
        clients: dict[int, Client] = {}
        chosen: dict[int, dict[str, list[str]]] = {}
        for size in (FEW, runs):
            database = kept_store(store or Path(name), size)
            chosen[size] = {what: sample(database, where, each) for what, where in _CHOSEN.items()}
            daemons[size] = stack.enter_context(own_daemon(Path(name) / f"rund-{size}", slots=1, store=database))
            clients[size] = stack.enter_context(closing(Client(daemons[size].env, start=False)))
        for daemon in daemons.values():
            daemon.come_to_rest()
        for _ in range(rounds):
            for name_, method, params, of, param, _ in _REQUESTS:
                asked = {size: _asked(params, of and chosen[size][of], param) for size in clients}
                for size, median in _in_turn(clients, method, asked, each).items():
                    taken.setdefault((name_, size), []).append(median)
            for name_, method, param in _OF_THE_LARGEST if runs >= FROM else ():
                asked = {runs: _asked({}, chosen[runs][_LARGEST], param)}
                taken.setdefault((f"{name_}, largest", runs), []).extend(
                    _in_turn(clients, method, asked, each).values()
                )
        memory = {size: daemon.proportional() for size, daemon in daemons.items()}
    rows = [
        row_of(
            f"{name}, {runs:,} runs",
            taken[name, runs],
            "ms",
            against=f"{FEW:,}",
            other=taken[name, FEW],
            bound=BOUND if same else None,
        )
        for name, *_, same in _REQUESTS
    ]
    rows.append(
        row_of(
            "memory of the daemon after these",
            [memory[runs]],
            "MB",
            against=f"{FEW:,}",
            other=[memory[FEW]],
            bound=BOUND,
        )
    )
    if runs < FROM:
        return rows
    return rows + [
        row_of(
            f"{name}, of 99,999 trials",
            taken[f"{name}, largest", runs],
            "ms",
            against="of 499",
            other=taken[name, runs],
        )
        for name, *_ in _OF_THE_LARGEST
    ]


def _asked(params: dict[str, Any], runs: Sequence[str] | None, param: str) -> list[dict[str, Any]]:
    """The params of requests that are to be made one after the other, again and again."""
    return [params] if runs is None else [{**params, param: run} for run in runs]


def _in_turn(
    clients: dict[int, Client], method: str, asked: dict[int, list[dict[str, Any]]], count: int
) -> dict[int, float]:
    """Milliseconds of such a request to each daemon: the median of so many, asked in turn."""
    taken: dict[int, list[float]] = {size: [] for size in asked}
    for number in range(count):
        for size, params in sorted(asked.items(), reverse=number % 4 > 1):  # none is always the second
            clients[size].call(_CHANGES[number % 2])
            begun = time.perf_counter()
            clients[size].call(method, **params[number % len(params)])
            taken[size].append((time.perf_counter() - begun) * 1000)
    return {size: statistics.median(times) for size, times in taken.items()}
