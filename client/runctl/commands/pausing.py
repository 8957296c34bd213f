"""``runctl pause`` and ``resume``: whether new runs start."""

from __future__ import annotations

from runctl.arguments import Arguments, Command
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import put_json, say


def pause(arguments: Arguments) -> int:
    """Start nothing new."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("pause")
    if arguments.flag("json"):
        put_json(answer)
    else:
        say("Paused: running runs go on, and nothing new starts until `runctl resume`")
    return DONE


def resume(arguments: Arguments) -> int:
    """Lift the pause."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("resume")
    if arguments.flag("json"):
        put_json(answer)
    else:
        say("Resumed: pending runs start as there are slots")
    return DONE


COMMANDS = {
    "pause": Command(
        "pause",
        "",
        "Start nothing new, and let running runs go on; it holds until `runctl resume`, also for a new daemon.",
        action=pause,
        most=0,
        example="runctl pause",
    ),
    "resume": Command(
        "resume",
        "",
        "Lift the pause: pending runs start again.",
        action=resume,
        most=0,
        example="runctl resume",
    ),
}
