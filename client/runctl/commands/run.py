"""``runctl run``: makes a run and follows it."""

from __future__ import annotations

import os
import sys

from runctl.arguments import WHOLE, Arguments, Command, Option
from runctl.environment import interpreter_folder, sent_environment
from runctl.outcome import Asked, carry_on
from runctl.places import working_folder
from runctl.reach import reach_for
from runctl.rows import split_rows


def run(arguments: Arguments) -> int:
    """Make the run, and follow it unless told otherwise; answers the run's own exit status."""
    args, rows = split_rows(arguments.words[1:])
    with reach_for(arguments) as daemon:
        before = daemon.send("events")
        with Asked(arguments):
            made = daemon.send(
                "run",
                operation=arguments.words[0],
                args=args,
                rows=rows,
                cwd=working_folder(),
                env=client_environment(),
                label=arguments.text("label"),
                tags=arguments.many("tag"),
                inputs=arguments.many("input"),
                random_seed=arguments.number("random-seed"),
                slots=arguments.number("slots"),
                priority=arguments.number("priority"),
                stage=arguments.flag("stage"),
                needed=arguments.flag("needed"),
                dry_run=arguments.flag("dry-run") or arguments.flag("print-trials"),
                force_flags=arguments.flag("force-flags"),
                optimizer=arguments.text("optimizer"),
                max_trials=arguments.number("max-trials"),
                jobs=arguments.number("jobs"),
                retries=arguments.number("retries"),
                fail_fast=arguments.flag("fail-fast"),
            )
            last = daemon.answer(before)["last"]
            answer = daemon.answer(made)
        return carry_on(arguments, daemon, answer, last)


def client_environment() -> dict[str, str | bytes]:
    """This process's environment, as a run is to have it."""
    return sent_environment(os.environb, first=interpreter_folder(sys.argv[0], os.environ.get("PATH", "")))


DETACH = Option("-d", "--detach", meaning="print the run's id and return at once")
SEED = Option("--random-seed", value="N", kind=WHOLE, meaning="seed, from 0 to 4294967295, instead of a drawn one")
SLOTS = Option("--slots", value="N", kind=WHOLE, meaning="slots that the run takes while it runs")
PRIORITY = Option("--priority", value="N", kind=WHOLE, meaning="pending runs with a higher number start first")
STAGE = Option("--stage", meaning="make it ready, and start nothing until `runctl start`")
DRY_RUN = Option("--dry-run", meaning="say what would be done, and change nothing")
OPTIMIZER = Option(
    "--optimizer", value="NAME", meaning="of a batch: grid (all combinations of lists) or random (draws)"
)
RETRIES = Option("--retries", value="N", kind=WHOLE, meaning="of a batch: start a trial that ends badly N times again")
FAIL_FAST = Option("--fail-fast", meaning="of a batch: withdraw what waits at the first trial that ends badly")
FORCE_FLAGS = Option("--force-flags", meaning="take flags that the operation does not know")

COMMANDS = {
    "run": Command(
        "run",
        "OPERATION [NAME=VALUE...] [@FILE]",
        "Run a script, an executable or an entry of rund.toml, and follow it; Ctrl-C leaves it running.",
        more="Exits with the run's own code, with 128+n for signal n, and with 0 only if the run completed."
        " With --json it does not follow. Several values for a flag (x=[1,2,3], x=loguniform[1e-5:1e-1]) make a batch"
        " of trials, and so does a file with a trial on each row: @trials.csv, or @- for JSON lines on standard input."
        " A batch exits with 0 if all its trials completed, else with 1.",
        action=run,
        least=1,
        example="runctl run train.py 'lr=[0.1,0.01]' layers=2",
        options=(
            DETACH,
            Option("--label", value="TEXT", meaning="label of the run"),
            Option("--tag", value="TAG", many=True, param="tags", meaning="tag of the run; may be given several times"),
            Option(
                "--input",
                value="PATH",
                param="inputs",
                many=True,
                meaning="file or folder of the project to link into the run's directory; may be given several times",
            ),
            SEED,
            SLOTS,
            PRIORITY,
            STAGE,
            Option(
                "--needed",
                meaning="do nothing if a completed run with the same flags and source is there; restart an equal batch"
                " with --needed",
            ),
            OPTIMIZER,
            Option("--max-trials", value="N", kind=WHOLE, meaning="of a batch: no more than N trials"),
            Option("--jobs", value="N", kind=WHOLE, meaning="of a batch: no more than N trials at once"),
            RETRIES,
            FAIL_FAST,
            Option("--print-trials", meaning="print the flags of each trial on a line, and change nothing"),
            DRY_RUN,
            FORCE_FLAGS,
        ),
    )
}
