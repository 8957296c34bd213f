"""What no-op trials are measured against: each does one piece of work and answers how many seconds it took."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = "/bin/true"
SLOTS = 4
Peer = Callable[[Path, int], float]


def parallel(folder: Path, trials: int) -> float:
    """GNU parallel, with a log of jobs, and a folder and files of each."""
    folder.mkdir()
    command = ["parallel", "--will-cite", f"-j{SLOTS}", "--joblog", "log", "--results", "out", PROGRAM]
    numbers = "".join(f"{number}\n" for number in range(trials)).encode()
    begun = time.perf_counter()
    env = os.environ | {"HOME": str(folder)}
    subprocess.run(command, input=numbers, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - begun


def task_spooler(folder: Path, trials: int) -> float:
    """A server of task-spooler, which writes a file of output for each."""
    folder.mkdir()
    env = os.environ | {
        "TS_SOCKET": str(folder / "socket"),
        "TMPDIR": str(folder),
        "TS_MAXFINISHED": str(trials + 1),
        "TS_SLOTS": str(SLOTS),
    }
    begun = time.perf_counter()
    try:
        subprocess.run(["tsp", "-S", str(SLOTS)], env=env, check=True)
        for _ in range(trials):
            subprocess.run(["tsp", PROGRAM], env=env, check=True, stdout=subprocess.DEVNULL)
        # One ends and the next begins: for an instant, all that is left may be queued.
        while any(word in (listed := _listed(env)) for word in (b"running", b"queued")):
            subprocess.run(["tsp", "-w"], env=env, check=True)
        taken = time.perf_counter() - begun
        assert listed.count(b"finished") == trials, listed.decode()
    finally:
        subprocess.run(["tsp", "-K"], env=env, check=False, stdout=subprocess.DEVNULL)
    return taken


def _listed(env: dict[str, str]) -> bytes:
    return subprocess.run(["tsp"], env=env, check=True, capture_output=True).stdout


def bare_loop(folder: Path, trials: int) -> float:
    """`os.posix_spawn` in so many slots, with a folder and a file of output for each, and two durable commits."""
    folder.mkdir()
    # In a process of its own, for it waits for any child.
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(folder), str(trials)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _loop(folder: Path, trials: int) -> float:
    database = sqlite3.connect(folder / "db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE trials (number INTEGER PRIMARY KEY, status INTEGER)")
    running: dict[int, int] = {}
    begun = time.perf_counter()
    for number in range(trials):
        if len(running) == SLOTS:
            _reap(database, running)
        home = folder / str(number)
        home.mkdir()
        database.execute("INSERT INTO trials VALUES (?, NULL)", (number,))
        opened = [(os.POSIX_SPAWN_OPEN, 1, str(home / "output"), os.O_WRONLY | os.O_CREAT, 0o600)]
        running[os.posix_spawn(PROGRAM, [PROGRAM], {}, file_actions=opened)] = number
    while running:
        _reap(database, running)
    taken = time.perf_counter() - begun
    database.close()
    return taken


def _reap(database: sqlite3.Connection, running: dict[int, int]) -> None:
    pid, status = os.wait()
    database.execute("UPDATE trials SET status = ? WHERE number = ?", (status, running.pop(pid)))


if __name__ == "__main__":
    print(_loop(Path(sys.argv[1]), int(sys.argv[2])))
