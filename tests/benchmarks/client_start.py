"""How long ``runctl list`` takes as a whole process, against an interpreter that does nothing, in turn in one run."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
RUNS = 50


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
                "python -c pass": [sys.executable, "-c", "pass"],
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
    base = times["python -c pass"]
    return {
        label: {
            "seconds": statistics.median(taken),
            "ratio": statistics.median(one / other for one, other in zip(taken, base, strict=True)),
        }
        for label, taken in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'command':24} {'median ms':>10} {'ratio':>6}   ({options.rounds} rounds, {os.cpu_count()} processors)")
    for label, row in figures.items():
        print(f"{label:24} {row['seconds'] * 1000:10.1f} {row['ratio']:6.2f}")


if __name__ == "__main__":
    main()
