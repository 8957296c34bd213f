"""``runctl start``: queues what is staged."""

from __future__ import annotations

from runctl.arguments import Arguments, Command
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import counted, put_json, say


def start(arguments: Arguments) -> int:
    """Queue the runs."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("start", runs=arguments.words)
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"Queued {counted([run['id'] for run in answer['runs']])}")
    return DONE


COMMANDS = {
    "start": Command(
        "start",
        "RUN...",
        "Queue runs that are staged, and the staged trials of batches; `runctl logs -f RUN` follows a run.",
        action=start,
        least=1,
        example="runctl start 1f2e3d4c",
    )
}
