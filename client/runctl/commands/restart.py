"""``runctl restart``: runs a run again, in place, and follows it."""

from __future__ import annotations

from runctl.arguments import BOUND, Arguments, Command, Option
from runctl.commands.run import (
    DETACH,
    DRY_RUN,
    FAIL_FAST,
    FORCE_FLAGS,
    OPTIMIZER,
    PRIORITY,
    RETRIES,
    SEED,
    SLOTS,
    STAGE,
    client_environment,
)
from runctl.failures import UsageError
from runctl.outcome import Asked, carry_on
from runctl.places import working_folder
from runctl.reach import reach_for
from runctl.rows import split_rows


def restart(arguments: Arguments) -> int:
    """Restart the run, and follow it unless told otherwise; answers the run's own exit status."""
    if arguments.flag("fail-fast") and arguments.flag("no-fail-fast"):
        raise UsageError("--fail-fast and --no-fail-fast exclude each other: give one of them")
    args, rows = split_rows(arguments.words[1:])
    update_env = arguments.flag("update-env")
    with reach_for(arguments) as daemon:
        before = daemon.send("events")
        with Asked(arguments):
            restarted = daemon.send(
                "restart",
                run=arguments.words[0],
                args=args,
                rows=rows,
                cwd=working_folder(),
                env=client_environment() if update_env else None,
                random_seed=arguments.number("random-seed"),
                slots=arguments.number("slots"),
                priority=arguments.number("priority"),
                needed=arguments.flag("needed"),
                dry_run=arguments.flag("dry-run"),
                stage=arguments.flag("stage"),
                clean=arguments.flag("clean"),
                update_source=arguments.flag("update-source"),
                update_env=update_env,
                force_flags=arguments.flag("force-flags"),
                optimizer=arguments.text("optimizer"),
                max_trials=arguments.bound("max-trials"),
                jobs=arguments.bound("jobs"),
                retries=arguments.number("retries"),
                fail_fast=True if arguments.flag("fail-fast") else False if arguments.flag("no-fail-fast") else None,
            )
            last = daemon.answer(before)["last"]
            answer = daemon.answer(restarted)
        return carry_on(arguments, daemon, answer, last)


COMMANDS = {
    "restart": Command(
        "restart",
        "RUN [NAME=VALUE...] [@FILE]",
        "Run a run again under the same id, with its own flags changed by those given, and follow it.",
        more="Its directory stays as it is. `NAME=` gives a flag its default back. Exits as `runctl run` does."
        " Of a batch the trials that it had are run again in place, new ones are made, and those that no longer apply"
        " are set free; flags and options that are given are remembered.",
        action=restart,
        least=1,
        example="runctl restart 1f2e3d4c lr=0.01 --needed",
        options=(
            DETACH,
            Option("--needed", meaning="skip it if it is completed and its flags do not change"),
            Option("--clean", meaning="empty its directory first"),
            Option("--update-source", meaning="take the script as it is today"),
            Option("--update-env", meaning="take this environment instead of the stored one"),
            SEED,
            SLOTS,
            PRIORITY,
            STAGE,
            OPTIMIZER,
            Option("--max-trials", value="N", kind=BOUND, meaning="of a batch: no more than N trials; all lifts it"),
            Option("--jobs", value="N", kind=BOUND, meaning="of a batch: no more than N trials at once; all lifts it"),
            RETRIES,
            FAIL_FAST,
            Option("--no-fail-fast", meaning="of a batch: go on, whatever trials end in"),
            DRY_RUN,
            FORCE_FLAGS,
        ),
    )
}
