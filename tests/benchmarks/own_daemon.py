"""A daemon of a benchmark's own, as a service would run it: started before, and asked through `runctl`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
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

    def ctl(self, *args: str | Path, check: bool = True) -> str:
        """What a `runctl` command prints."""
        command = [BIN / "runctl", *args]
        done = subprocess.run(command, env=self.env, cwd=self.folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def processor(self) -> float:
        """Seconds of processor time of the daemon, all that it started and that has ended, and this process's commands."""
        pid = int((Path(self.env["RUND_HOME"]) / "lock").read_text().split()[0])
        below = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
        return sum(_seconds(each) for each in (pid, *below)) + own_processor()


def own_processor() -> float:
    """Seconds of processor time of this process, and of those below it that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _seconds(pid: int) -> float:
    """Of a process, and of those below it that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return sum(map(int, fields[11:15])) / _TICKS


@contextmanager
def own_daemon(folder: Path, *, slots: int) -> Iterator[OwnDaemon]:
    """A daemon with its home in ``folder``, for as long as the context lasts."""
    folder.mkdir()
    daemon = OwnDaemon(folder, slots=slots)
    try:
        daemon.ctl("daemon", "start")
        yield daemon
    finally:
        daemon.ctl("daemon", "stop", check=False)
