"""``python -m tests.benchmarks NAME... [OPTION...]``: each NAME is a module here with `run`.

Its ``OPTIONS`` are the names of those options that it takes besides ``--rounds`` and ``--quick``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.row import Row, table

NAMES = ("client_start", "large_batches", "memory", "noop_trials", "pages", "scale", "scripts", "start", "throughput")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, help="more rounds give steadier medians")
    parser.add_argument("--quick", action="store_true", help="little work, to see that it runs")
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="keep the stores of many runs there, for the next")
    parser.add_argument("--trials", type=int, metavar="N", help="of scale: work through so many (default: 100,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.names:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        more = {option: getattr(options, option) for option in getattr(module, "OPTIONS", ())}
        rows += module.run(options.rounds or module.ROUNDS, quick=options.quick, **more)
    print(table(rows))
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
