"""No-op trials of one batch, from the command to the end of the last, against other tools that do the same work.

On ext4 without a journal a file costs the more the more others near it were removed in the last minutes: so all that
is made is removed at the end, not between rounds.  TMPDIR says where it lies.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

from tests.benchmarks.noop_peers import PROGRAM, SLOTS, Peer, bare_loop, parallel, task_spooler
from tests.benchmarks.own_daemon import OwnDaemon, own_daemon, own_processor
from tests.benchmarks.row import Row, row_of

ROUNDS = 3
FEW, MANY, QUICK = 2_000, 10_000, 40
PEERS: dict[str, tuple[Peer, str, float]] = {
    "parallel -j4 --joblog": (parallel, "parallel", 1.0),
    "tsp -S 4": (task_spooler, "tsp", 1.0),
    "posix_spawn and two commits": (bare_loop, "", 2.0),
}
_WAITED_FOR = ("parallel -j4 --joblog", "posix_spawn and two commits")  # all of their processes are


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    few, many = (QUICK, 2 * QUICK) if quick else (FEW, MANY)
    with tempfile.TemporaryDirectory(prefix="noop-") as name:
        return _measure(Path(name), rounds, few, many)


def _measure(folder: Path, rounds: int, few: int, many: int) -> list[Row]:
    each: dict[str, list[float]] = {}  # milliseconds per trial, by what was measured
    peers = {label: peer for label, (peer, program, _) in PEERS.items() if not program or shutil.which(program)}

    def note(label: str, seconds: float, trials: int) -> None:
        each.setdefault(label, []).append(seconds / trials * 1000)

    for turn in range(rounds):
        with own_daemon(folder / f"rund-{turn}", slots=SLOTS) as daemon:
            wall, processor = trials_of(daemon, few)
            note("few", wall, few)
            note("processor", processor, few)
            for label, peer in peers.items():
                before = own_processor()
                note(label, peer(folder / f"{turn}-{label.partition(' ')[0]}", few), few)
                note(f"processor of {label}", own_processor() - before, few)
            note("many", trials_of(daemon, many)[0], many)
            note("followed", followed(daemon, few), few)
    ours = each["few"]
    rows = [
        row_of(f"{few} no-op trials", ours, "ms each", against=label, other=each.get(label), bound=bound)
        if label in peers
        else Row(work=label, value=None, unit="ms each", bound=bound, note=f"{program} is not installed")
        for label, (_, program, bound) in PEERS.items()
    ]
    return [
        *rows,
        *(row_of(label, each[label], "ms each") for label in peers),
        *(_processor_row(few, each, label) for label in _WAITED_FOR if label in peers),
        row_of(f"{many} no-op trials", each["many"], "ms each", against=f"{few} trials", other=ours, bound=1.1),
        row_of(f"{few} no-op trials, followed", each["followed"], "ms each", against="not followed", other=ours),
    ]


def _processor_row(trials: int, each: dict[str, list[float]], label: str) -> Row:
    """Other load changes this less than the clock's time."""
    work, other = f"{trials} no-op trials, processor time", each[f"processor of {label}"]
    return row_of(work, each["processor"], "ms each", against=label, other=other)


def trials_of(daemon: OwnDaemon, trials: int) -> tuple[float, float]:
    """Seconds of the clock, and of processors below the daemon, for a batch from the command to its end."""
    before = daemon.processor()
    begun = time.perf_counter()
    batch = daemon.ctl("run", "--detach", PROGRAM, f"n=range[1:{trials}]", "--force-flags")
    daemon.ctl("wait", batch)
    taken = time.perf_counter() - begun
    _expect(daemon, batch, trials)
    return taken, daemon.processor() - before


def followed(daemon: OwnDaemon, trials: int) -> float:
    """Seconds for a batch that a client follows."""
    begun = time.perf_counter()
    daemon.ctl("run", PROGRAM, f"n=range[1:{trials}]", "--force-flags")  # which fails if a trial does not complete
    return time.perf_counter() - begun


def _expect(daemon: OwnDaemon, batch: str, trials: int) -> None:
    shown = json.loads(daemon.ctl("list", "--batch", batch, "--status", "completed", "--json"))
    assert shown["total"] == trials, f"{shown['total']} of {trials} trials completed"
