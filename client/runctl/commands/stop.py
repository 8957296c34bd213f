"""``runctl stop``: ends runs and all that they started."""

from __future__ import annotations

from runctl.arguments import Arguments, Command, Option
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import counted, put_json, say, short


def stop(arguments: Arguments) -> int:
    """Stop the runs, and wait for their end unless told otherwise.

    With ``--json`` the answer is that of the last request: ``wait``, or ``stop`` where it does not wait.
    """
    waits = not arguments.flag("no-wait")
    with reach_for(arguments) as daemon:
        answer = daemon.call("stop", runs=arguments.words)
        stopped = answer["stopped"]
        over = [run for run in answer["runs"] if run["id"] not in set(stopped)]
        if waits and stopped:
            answer = daemon.call("wait", runs=[run["id"] for run in answer["runs"]], attempts=True)
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    for run in over:
        say(f"Nothing of {short(run['id'])} runs or waits: it is {run['status']}")
    if stopped:
        say(f"{'Stopped' if waits else 'Stopping'} {counted(stopped)}")
    return DONE


COMMANDS = {
    "stop": Command(
        "stop",
        "RUN...",
        "End runs and all that they started, and wait for their end; runs that wait are withdrawn, and so is what waits"
        " of a batch.",
        action=stop,
        least=1,
        example="runctl stop 1f2e3d4c",
        options=(Option("--no-wait", meaning="return as soon as the daemon has noted it"),),
    )
}
