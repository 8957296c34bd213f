"""How long the daemon takes from its start to being ready, with 1,000,000 runs in its store and with none, in turn."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.kept_store import kept_store
from tests.benchmarks.own_daemon import BIN, OwnDaemon
from tests.benchmarks.row import Row, row_of

OPTIONS = ("store",)
ROUNDS = 11
RUNS, QUICK = 1_000_000, 2_000
BOUND = 1.5


def run(rounds: int, *, quick: bool, store: Path | None = None) -> list[Row]:
    """The rows of ``rounds`` rounds; the store is kept in the folder ``store``."""
    runs = QUICK if quick else RUNS
    taken: dict[int, list[float]] = {0: [], runs: []}
    memory: dict[int, list[float]] = {0: [], runs: []}
    with tempfile.TemporaryDirectory(prefix="start-") as name:
        daemons = {number: _daemon(Path(name) / f"rund-{number}") for number in taken}
        shutil.copyfile(kept_store(store or Path(name), runs), daemons[runs].database)
        for turn in range(rounds + 1):
            for number, daemon in daemons.items():
                seconds, megabytes = _start(daemon)
                if turn:  # the first round makes the home of the one, and warms up
                    taken[number].append(seconds * 1000)
                    memory[number].append(megabytes)
    return [
        row_of(f"start to ready, {runs:,} runs", taken[runs], "ms", against="none", other=taken[0], bound=BOUND),
        row_of(f"memory then, {runs:,} runs", memory[runs], "MB", against="none", other=memory[0]),
    ]


def _daemon(folder: Path) -> OwnDaemon:
    """A daemon that is not started yet, without its daily backup, which would be due at once."""
    folder.mkdir()
    daemon = OwnDaemon(folder, slots=1)
    daemon.database.parent.mkdir()
    daemon.env["RUND_BACKUPS"] = "0"
    return daemon


def _start(daemon: OwnDaemon) -> tuple[float, float]:
    """Seconds until a daemon tells its service manager that it is ready, and its megabytes then; it is ended again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # to an abstract name that nobody has
        manager.settimeout(120)
        begun = time.perf_counter()
        env = {**daemon.env, "NOTIFY_SOCKET": f"@{manager.getsockname()[1:].decode()}"}
        with subprocess.Popen([BIN / "rund"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                while b"READY=1" not in manager.recv(4096).splitlines():
                    pass
                return time.perf_counter() - begun, daemon.proportional()
            finally:
                process.terminate()
                process.wait()
