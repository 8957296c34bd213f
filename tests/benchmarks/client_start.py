"""How long ``runctl list`` takes as a whole process, against an interpreter that does nothing, in turn in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.row import Row

BIN = Path(sys.executable).parent
RUNS = 50
ROUNDS = 21
BASE = "python -c pass"
BOUND = 3.0


def seconds(command: list[str | Path], env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def fill(env: dict[str, str], folder: Path) -> None:
    script = folder / "noop.py"
    script.write_text("x = 0\n")
    code = (
        "import runctl, sys\n"
        "with runctl.connect() as rund:\n"
        f"    runs = [rund.run(sys.argv[1], flags={{'x': n}}) for n in range({RUNS})]\n"
        "    for run in runs:\n        run.wait()\n"
    )
    subprocess.run([sys.executable, "-c", code, script], env=env, check=True)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Medians of seconds and of the ratio to ``python -c pass``, by command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {
            "HOME": name,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "RUND_HOME": f"{name}/home",
            "XDG_RUNTIME_DIR": f"{name}/run",
        }
        try:
            fill(env, folder)
            commands: dict[str, list[str | Path]] = {
                BASE: [sys.executable, "-c", "pass"],
                f"runctl list -n {RUNS}": [BIN / "runctl", "list", "-n", str(RUNS)],
                "runctl show @1": [BIN / "runctl", "show", "@1"],
            }
            times: dict[str, list[float]] = {label: [] for label in commands}
            for turn in range(rounds + 1):
                for label, command in commands.items():
                    taken = seconds(command, env)
                    if turn:  # the first round warms up
                        times[label].append(taken)
        finally:
            subprocess.run([BIN / "runctl", "daemon", "stop"], env=env, check=False, capture_output=True)
    base = times[BASE]
    return {
        label: {
            "seconds": statistics.median(taken),
            "ratio": statistics.median(one / other for one, other in zip(taken, base, strict=True)),
        }
        for label, taken in times.items()
    }


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    figures = measure(2 if quick else rounds)
    return [
        Row(
            work=label,
            value=row["seconds"] * 1000,
            unit="ms",
            against=BASE if label != BASE else "",
            ratio=row["ratio"] if label != BASE else None,
            bound=BOUND if label != BASE else None,
        )
        for label, row in figures.items()
    ]
