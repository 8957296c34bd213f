"""``runctl status`` and ``config``: how the daemon is, and how it is set."""

from __future__ import annotations

from runctl.arguments import Arguments, Command
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import plain, put, put_json, say, width
from runctl.table import lay_out
from runctl.times import second

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import StatusAnswer


def status(arguments: Arguments) -> int:
    """Show the daemon's pid, version, home, socket, start, slots and counts by status."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("status")
    put_status(arguments, answer)
    return DONE


def put_status(arguments: Arguments, answer: StatusAnswer) -> None:
    """Show the answer to ``status``."""
    if arguments.flag("json"):
        put_json(answer)
    else:
        put("\n".join(lay_out(_facts(answer), width())))
        _compare_versions(answer["version"])


def _compare_versions(daemon: str) -> None:
    """Say so if the daemon is of another version than this client, as after an update."""
    from rund import __version__

    if daemon != __version__:
        say(
            f"The daemon is rund {daemon}, this runctl is {__version__}: `runctl daemon stop` ends it, and the next"
            " command starts the one that is installed here; runs go on"
        )


def _facts(answer: StatusAnswer) -> list[tuple[str, str]]:
    counts = ", ".join(f"{count} {name}" for name, count in answer["counts"].items() if count)
    return [
        ("pid", str(answer["pid"])),
        ("version", answer["version"]),
        ("home", plain(answer["home"])),
        ("socket", plain(answer["socket"])),
        ("started", second(answer["started"])),
        ("slots", f"{answer['used']} of {answer['slots']} used{' (paused)' if answer['paused'] else ''}"),
        ("runs", counts or "none"),
        *([("fault", plain(answer["fault"]))] if answer["fault"] else []),
    ]


def config(arguments: Arguments) -> int:
    """Show each setting with its value, origin and meaning; with ``--json`` the whole answer to ``status``."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("status")
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    rows = [("setting", "value", "origin", "meaning")]
    for setting in answer["settings"]:
        value = setting["value"]
        shown = "" if value is None else str(value)
        rows.append((setting["name"], plain(shown), plain(setting["origin"]), setting["help"]))
    put("\n".join(lay_out(rows, width())))
    return DONE


COMMANDS = {
    "status": Command(
        "status",
        "",
        "Show the daemon's pid, version, home, socket, start, slots, and how many runs have each status.",
        action=status,
        most=0,
        example="runctl status",
    ),
    "config": Command(
        "config",
        "",
        "Show each of the daemon's settings with its value, where that comes from, and what it means.",
        action=config,
        most=0,
        example="runctl config",
    ),
}
