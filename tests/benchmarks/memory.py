"""What the daemon holds: at rest, with 100,000 trials that wait, and for each run that runs; and how often it wakes.

Resident memory of the daemon (private and shared); of a run that runs the proportional part of its shim alone.
"""

from __future__ import annotations

import select
import tempfile
import time
from pathlib import Path

from tests.benchmarks.own_daemon import OwnDaemon, own_daemon, proportional
from tests.benchmarks.row import Row, row_of

ROUNDS = 1
PENDING, QUICK = 100_000, 200
RUNNING, QUICK_RUNNING = 20, 2
IDLE, QUICK_IDLE = 60.0, 1.0  # seconds in which wake-ups are counted
_SCRIPT = "import time\nx = 0\ntime.sleep(3600)\n"


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    rest: list[float] = []
    pending: list[float] = []
    shims: list[float] = []
    woken: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="memory-") as name:
            with own_daemon(Path(name) / "rest", slots=RUNNING) as daemon:
                rest.append(_resident(daemon.pid))
                woken.append(_wake_ups(daemon, QUICK_IDLE if quick else IDLE))
                shims.append(_per_shim(daemon, QUICK_RUNNING if quick else RUNNING))
            with own_daemon(Path(name) / "pending", slots=1) as daemon:
                daemon.ctl("pause")
                daemon.ctl("run", "--detach", _script(daemon), f"x=range[1:{QUICK if quick else PENDING}]")
                pending.append(_resident(daemon.pid))
    return [
        row_of("daemon at rest", rest, "MB", bound=45),
        row_of(f"daemon with {QUICK if quick else PENDING:,} pending trials", pending, "MB", bound=75),
        row_of("each run that runs (PSS of its shim)", shims, "MB", bound=2),
        row_of(f"wake-ups in {QUICK_IDLE if quick else IDLE:g} s at rest", woken, "", bound=0),
    ]


def _script(daemon: OwnDaemon) -> Path:
    script = daemon.folder / "sleep.py"
    script.write_text(_SCRIPT)
    return script


def _resident(pid: int) -> float:
    """Megabytes."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def _wake_ups(daemon: OwnDaemon, seconds: float) -> float:
    """How often a thread of the daemon began to run, in so many ``seconds`` after it had come to rest."""
    before = daemon.come_to_rest()
    select.select([], [], [], seconds)
    return daemon.switches() - before


def _per_shim(daemon: OwnDaemon, count: int) -> float:
    """Megabytes of the shims of so many runs, each."""
    script = _script(daemon)
    for _ in range(count):
        daemon.ctl("run", "--detach", script)
    deadline = time.monotonic() + 120
    while len(shims := _shims(daemon.pid)) < count and time.monotonic() < deadline:
        select.select([], [], [], 0.1)
    parts = [proportional(pid) for pid in shims]
    daemon.ctl("stop", *(f"@{number}" for number in range(1, count + 1)))
    assert parts, "no run was started"
    return sum(parts) / len(parts)


def _shims(daemon: int) -> list[int]:
    """The processes of the daemon's tree that have a run below them and are no daemon."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    trials = [pid for pid in parents if b"sleep.py" in _command(pid) and _below(pid, daemon, parents)]
    return sorted({parents[pid] for pid in trials})


def _below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
