"""The cases of trials that are held for ever: what is given, and the trials that it gives.

Each ``*.json`` beside this file is one case: ``flags`` (name: type or null), ``args``, ``rows`` (of a file, or null),
``optimizer`` (or null), ``seed``, ``max_trials`` (or null), and ``trials``, exactly.  A file is never changed once it
has been released: the same seed gives the same trials, whatever the version.

To make a new case, write its file with all but ``trials`` and print the whole of it from the code:

    python -m tests.unit.expected_trials.cases NAME > NAME.json.new
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rund.engine.trials import Optimizer, generate, optimizer_for
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind
from rund.model.values import Flags
from rund.operations.batch_assign import assign_batch
from rund.operations.batch_rows import assign_rows, check_rows
from rund.operations.given import read_args

FOLDER = Path(__file__).parent


def read_case(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def trials_of(case: dict[str, Any]) -> list[Flags]:
    flags = tuple(
        FlagDef(name=name, type=None if kind is None else FlagType(kind), declared=kind is not None)
        for name, kind in case["flags"].items()
    )
    operation = Operation(
        name="t.py", kind=OperationKind.PYTHON, entry="t.py", flags=flags, project_dir="/p", cwd="/p", target="/p/t.py"
    )
    rows = None if case["rows"] is None else check_rows(case["rows"], "rows")
    assigned = assign_batch(
        operation, read_args(case["args"]), base=None, given=frozenset(), force=False, has_rows=rows is not None
    )
    laid = None
    if rows is not None:
        laid = assign_rows(operation, rows, space=assigned.space, given=assigned.given, force=False)
    explicit = None if case["optimizer"] is None else Optimizer(case["optimizer"])
    optimizer = optimizer_for(assigned.space, explicit, rows=rows is not None)
    trials = generate(assigned.space, laid, optimizer=optimizer, seed=case["seed"], max_trials=case["max_trials"])
    return list(trials)


def case_text(case: dict[str, Any]) -> str:
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in case.items() if key != "trials"]
    trials = ",\n".join(f"    {json.dumps(trial)}" for trial in trials_of(case))
    return "{\n" + ",\n".join(lines) + ',\n  "trials": [\n' + trials + "\n  ]\n}"


if __name__ == "__main__":
    print(case_text(read_case(sys.argv[1])))
