"""``runctl restart``: runs a run again, in place, and follows it."""

from __future__ import annotations

from runctl.arguments import Arguments, Command, Option
from runctl.commands.run import (
    DETACH,
    DRY_RUN,
    FORCE_FLAGS,
    PRIORITY,
    SEED,
    SLOTS,
    STAGE,
    client_environment,
)
from runctl.outcome import carry_on
from runctl.reach import reach_for


def restart(arguments: Arguments) -> int:
    """Restart the run, and follow it unless told otherwise; answers the run's own exit status."""
    update_env = arguments.flag("update-env")
    with reach_for(arguments) as daemon:
        before = daemon.send("events")
        restarted = daemon.send(
            "restart",
            run=arguments.words[0],
            args=arguments.words[1:],
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
        )
        last = daemon.answer(before)["last"]
        return carry_on(arguments, daemon, daemon.answer(restarted), last)


COMMANDS = {
    "restart": Command(
        "restart",
        "RUN [NAME=VALUE...]",
        "Run a run again under the same id, with its own flags changed by those given, and follow it.",
        more="Its directory stays as it is. `NAME=` gives a flag its default back. Exits as `runctl run` does.",
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
            DRY_RUN,
            FORCE_FLAGS,
        ),
    )
}
