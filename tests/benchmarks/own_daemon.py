"""A daemon of a benchmark's own, as a service would run it: started before, and asked through `runctl`."""

from __future__ import annotations

import os
import resource
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
_TICKS = os.sysconf("SC_CLK_TCK")


class OwnDaemon:
    """A daemon and the environment of its clients."""

    def __init__(self, folder: Path, *, slots: int) -> None:
        self.folder = folder
        self.env = {
            "HOME": str(folder),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "RUND_HOME": f"{folder}/home",
            "RUND_SLOTS": str(slots),
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "LANG": "C.UTF-8",
        }

    @property
    def database(self) -> Path:
        """The database of its home; its log lies beside it."""
        return Path(self.env["RUND_HOME"]) / "rund.db"

    @property
    def pid(self) -> int:
        """The process that has its home."""
        return int((Path(self.env["RUND_HOME"]) / "lock").read_text().split()[0])

    def ctl(self, *args: str | Path, check: bool = True) -> str:
        """What a `runctl` command prints."""
        command = [BIN / "runctl", *args]
        done = subprocess.run(command, env=self.env, cwd=self.folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def processor(self) -> float:
        """Seconds of processor time of the daemon, all that is below it or was, and this process's commands."""
        return sum(_seconds(each) for each in _with_all_below(self.pid)) + own_processor()

    def switches(self) -> int:
        """How often a thread of the daemon began to wait, so far."""
        lines = [line for task in self._tasks() for line in _read(task / "status").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))

    def come_to_rest(self) -> int:
        """Return when what its start and the last client left to do is over, or in half a minute; its `switches` then."""
        deadline = time.monotonic() + 30
        before = self.switches()
        while True:  # a second passes without any
            select.select([], [], [], 1.0)
            now = self.switches()
            if now == before or time.monotonic() > deadline:
                return now
            before = now

    def _tasks(self) -> list[Path]:
        return list(Path(f"/proc/{self.pid}/task").iterdir())

    def proportional(self) -> float:
        """Megabytes of the daemon alone: its proportional set size."""
        return proportional(self.pid)


def own_processor() -> float:
    """Seconds of processor time of this process, and of those below it that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _with_all_below(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _with_all_below(int(child))


def _seconds(pid: int) -> float:
    """Of a process, and of those below it that it has waited for; 0 if it is gone."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _read(path: Path) -> str:
    """A file of a process or thread; nothing of one that is gone."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def proportional(pid: int) -> float:
    """Megabytes of a process: its proportional set size."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in rollup if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / 1e6


@contextmanager
def own_daemon(folder: Path, *, slots: int, store: Path | None = None) -> Iterator[OwnDaemon]:
    """A daemon with its home in ``folder``, for as long as the context lasts.

    ``store``: a database that it begins with a copy of; the daily backup, which would be due at once, is not made then.
    """
    folder.mkdir()
    daemon = OwnDaemon(folder, slots=slots)
    if store is not None:
        daemon.database.parent.mkdir()
        shutil.copyfile(store, daemon.database)
        daemon.env["RUND_BACKUPS"] = "0"
    try:
        daemon.ctl("daemon", "start")
        yield daemon
    finally:
        daemon.ctl("daemon", "stop", check=False)
