"""``runctl pause`` and ``resume``: whether new runs start."""

from __future__ import annotations

from runctl.arguments import Arguments, Command
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import put_json, say


def pause(arguments: Arguments) -> int:
    """Start nothing new, of one batch or at all."""
    batch = arguments.words[0] if arguments.words else None
    with reach_for(arguments) as daemon:
        answer = daemon.call("pause", batch=batch)
    if arguments.flag("json"):
        put_json(answer)
    elif batch is None:
        say("Paused: running runs go on, and nothing new starts until `runctl resume`")
    else:
        say(f"Paused: running trials of {batch} go on, and no other starts until `runctl resume {batch}`")
    return DONE


def resume(arguments: Arguments) -> int:
    """Lift the pause, of one batch or of all."""
    batch = arguments.words[0] if arguments.words else None
    with reach_for(arguments) as daemon:
        answer = daemon.call("resume", batch=batch)
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"Resumed: pending {'runs' if batch is None else f'trials of {batch}'} start as there are slots")
    return DONE


COMMANDS = {
    "pause": Command(
        "pause",
        "[BATCH]",
        "Start nothing new, of one batch or at all, and let running runs go on; it holds until `runctl resume`,"
        " also for a new daemon.",
        action=pause,
        most=1,
        example="runctl pause",
    ),
    "resume": Command(
        "resume",
        "[BATCH]",
        "Lift the pause of one batch, or of all: pending runs start again.",
        action=resume,
        most=1,
        example="runctl resume",
    ),
}
