"""``runctl wait``: waits until runs have ended."""

from __future__ import annotations

from runctl.arguments import SECONDS, Arguments, Command, Option
from runctl.ending import ending_line, is_live
from runctl.failures import DONE, INCOMPLETE
from runctl.reach import reach_for
from runctl.screen import counted, put_json, say


def wait(arguments: Arguments) -> int:
    """Wait until none of the runs is running or pending; 0 if all of them are completed then."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("wait", runs=arguments.words, timeout=arguments.seconds("timeout"))
    runs = answer["runs"]
    if arguments.flag("json"):
        put_json(answer)
    else:
        for line in filter(None, (ending_line(run) for run in runs if not is_live(run))):
            say(line)
        live = [run["id"] for run in runs if is_live(run)]
        if live:
            say(f"Not ended after {arguments.seconds('timeout'):g} s: {counted(live)}")
    return DONE if all(run["status"] == "completed" for run in runs) else INCOMPLETE


COMMANDS = {
    "wait": Command(
        "wait",
        "RUN...",
        "Wait until none of the runs is running or pending.",
        more="Exits with 0 if all of them are completed, else with 1. Staged runs are not waited for.",
        action=wait,
        least=1,
        example="runctl wait 1f2e3d4c 6d0f7a11 --timeout 3600",
        options=(Option("--timeout", value="S", kind=SECONDS, meaning="wait no longer than S seconds"),),
    )
}
