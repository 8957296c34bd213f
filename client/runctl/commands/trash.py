"""``runctl delete``, ``restore`` and ``purge``: the trash."""

from __future__ import annotations

import sys

from runctl.arguments import Arguments, Command, Option
from runctl.failures import DONE, INCOMPLETE
from runctl.reach import reach_for
from runctl.screen import counted, put_json, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import IdsAnswer, PurgeAnswer
    from runctl.connection import Connection


def delete(arguments: Arguments) -> int:
    """Move the runs to the trash."""
    with reach_for(arguments) as daemon:
        answer = daemon.call(
            "delete",
            runs=arguments.words,
            stop=arguments.flag("stop"),
            with_trials=arguments.flag("with-trials") or None,
        )
    ids = answer["runs"]
    back = f"; `runctl restore {short(ids[0])}` brings it back" if len(ids) == 1 else ""
    return _tell(arguments, answer, "Deleted", after=back)


def restore(arguments: Arguments) -> int:
    """Take the runs out of the trash."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("restore", runs=arguments.words)
    return _tell(arguments, answer, "Restored")


def purge(arguments: Arguments) -> int:
    """Free the runs named, or all, that are in the trash; asks first where a person can answer."""
    with reach_for(arguments) as daemon:
        if sys.stdin.isatty() and not arguments.flag("yes"):
            what = _purged(arguments, daemon)
            if what is not None and not _agreed(what):
                say("Nothing is purged.")
                return INCOMPLETE
        answer: PurgeAnswer = daemon.call("purge", runs=arguments.words or None)
    _tell(arguments, answer, "Purged")
    for what in answer["left"]:
        say(f"Left, for it cannot be removed: {what}")
    return INCOMPLETE if answer["left"] else DONE


def _purged(arguments: Arguments, daemon: Connection) -> str | None:
    """What would be purged; None: nothing is there."""
    if arguments.words:
        return " ".join(arguments.words)
    total = daemon.call("list", trash=True, limit=1)["total"]
    if not total:
        return None
    return f"all {total} runs in the trash" if total != 1 else "the one run in the trash"


def _agreed(what: str) -> bool:
    sys.stderr.write(f"Purge {what}, for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(arguments: Arguments, answer: IdsAnswer, deed: str, *, after: str = "") -> int:
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"{deed} {counted(answer['runs'])}{after}" if answer["runs"] else "The trash is empty.")
    return DONE


COMMANDS = {
    "delete": Command(
        "delete",
        "RUN...",
        "Move runs to the trash; `runctl restore` brings them back.",
        action=delete,
        least=1,
        example="runctl delete 1f2e3d4c",
        more="A batch's trials are set free, and those that never started are deleted for good.",
        options=(
            Option("--stop", meaning="stop first what runs or waits"),
            Option("--with-trials", meaning="of a batch: its trials too"),
        ),
    ),
    "restore": Command(
        "restore",
        "RUN...",
        "Take runs out of the trash; `runctl list --trash` shows it.",
        action=restore,
        least=1,
        example="runctl restore 1f2e3d4c",
    ),
    "purge": Command(
        "purge",
        "[RUN...]",
        "Free runs of the trash for good, their directories too: those named, or all.",
        action=purge,
        example="runctl purge -y",
        options=(Option("-y", "--yes", meaning="do not ask"),),
    ),
}
