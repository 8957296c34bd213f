"""A hundred trials of a Python script, against the same by `xargs` and by Guild AI."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.own_daemon import OwnDaemon, own_daemon
from tests.benchmarks.row import Row, row_of

ROUNDS = 5
TRIALS, QUICK = 100, 8
SLOTS = 4
SCRIPT = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=0)
arguments = parser.parse_args()
print(f"loss: {arguments.n / 7}")
"""


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    trials = QUICK if quick else TRIALS
    guild = shutil.which("guild")
    ours: list[float] = []
    xargs: list[float] = []
    guilds: list[float] = []
    our_processor: list[float] = []
    their_processor: list[float] = []
    with tempfile.TemporaryDirectory(prefix="scripts-") as name:
        folder = Path(name)
        with own_daemon(folder / "rund", slots=SLOTS) as daemon:
            script = daemon.folder / "train.py"
            script.write_text(SCRIPT)
            for turn in range(rounds):
                before = daemon.processor()
                ours.append(_ours(daemon, script, trials))
                between = daemon.processor()
                xargs.append(_xargs(folder / f"xargs-{turn}", script, trials))
                our_processor.append(between - before)
                their_processor.append(daemon.processor() - between)
                if guild is not None:
                    guilds.append(_guild(guild, folder / f"guild-{turn}", script, trials))
    work = f"{trials} trials of a Python script"
    return [
        row_of(work, ours, "s", against="xargs -P4", other=xargs, bound=1.3),
        row_of(work, ours, "s", against="Guild AI", other=guilds, bound=0.1)
        if guild is not None
        else Row(work="Guild AI", value=None, unit="s", bound=0.1, note="guild is not installed"),
        row_of(f"{work}, processor time", our_processor, "s", against="xargs -P4", other=their_processor),
        row_of(f"{trials} by xargs -P4", xargs, "s"),
    ]


def _ours(daemon: OwnDaemon, script: Path, trials: int) -> float:
    begun = time.perf_counter()
    daemon.ctl("wait", daemon.ctl("run", "--detach", script, f"n=range[1:{trials}]"))
    return time.perf_counter() - begun


def _xargs(folder: Path, script: Path, trials: int) -> float:
    """A shell loop: each trial in a folder of its own, with its output in a file there."""
    folder.mkdir()
    numbers = "".join(f"{number}\n" for number in range(1, trials + 1))
    one = f'mkdir "$1" && cd "$1" && exec {sys.executable} {script} --n "$1" > output 2>&1'
    begun = time.perf_counter()
    command = ["xargs", f"-P{SLOTS}", "-n1", "sh", "-c", one, "sh"]
    subprocess.run(command, input=numbers, cwd=folder, text=True, check=True)
    return time.perf_counter() - begun


def _guild(guild: str, folder: Path, script: Path, trials: int) -> float:
    (folder / "home").mkdir(parents=True)
    shutil.copy(script, folder)
    numbers = ",".join(map(str, range(1, trials + 1)))
    begun = time.perf_counter()
    command = [guild, "-H", str(folder / "home"), "run", script.name, f"n=[{numbers}]", "-y"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun
