"""Finds the command among the arguments; loads no module but that command's."""

from __future__ import annotations

from runctl.arguments import read_arguments
from runctl.failures import DONE, USAGE, UsageError
from rund.errors import InvalidError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runctl.arguments import Command

# command -> its module in runctl.commands, and what it does
COMMANDS = {
    "run": ("run", "run a script, an executable or an entry of rund.toml"),
    "restart": ("restart", "run a run again, under the same id"),
    "start": ("start", "queue what is staged"),
    "stop": ("stop", "end runs and all that they started"),
    "list": ("listing", "list runs, the newest start first (ls)"),
    "show": ("show", "show all that is known of a run"),
    "logs": ("logs", "show a run's output"),
    "wait": ("wait", "wait until runs have ended"),
    "delete": ("trash", "move runs to the trash (rm)"),
    "restore": ("trash", "take runs out of the trash"),
    "purge": ("trash", "free what is in the trash, for good"),
    "label": ("marks", "give a run a label"),
    "tag": ("marks", "add tags to a run, or take them away"),
    "pause": ("pausing", "start nothing new"),
    "resume": ("pausing", "start what waits again"),
    "status": ("status", "show how the daemon is"),
    "backup": ("backup", "copy the database into a file, while everything goes on"),
    "doctor": ("doctor", "look the home over, and say what is wrong and what to do"),
    "config": ("status", "show each setting, its value and origin"),
    "daemon": ("daemon", "start, stop or look at the daemon"),
    "service": ("service", "make rund a service of your systemd"),
}
ALIASES = {"ls": "list", "rm": "delete"}


def find_command(name: str) -> Command:
    """The command called ``name``; raises `UsageError`, with the nearest name, if there is none."""
    full = ALIASES.get(name, name)
    if full not in COMMANDS:
        raise UsageError(f"there is no command {name!r}{_nearest(name)}; see runctl --help")
    module = __import__(f"runctl.commands.{COMMANDS[full][0]}", fromlist=["COMMANDS"])
    command: Command = module.COMMANDS[full]
    return command


def dispatch(given: Sequence[str]) -> int:
    """Run the command that ``given`` names and answer its exit status; raises `rund.errors.RundError`."""
    before, name, after = _split(given)
    if name is None:
        return _without_command(before)
    command = find_command(name)
    arguments = read_arguments(command, [*before, *after])
    if arguments.flag("help"):
        from runctl.help import show_help

        return show_help(command)
    try:
        return command.action(arguments)
    except InvalidError as error:
        raise InvalidError(arguments.in_words_typed(command, error.message), field=error.field) from None


def _split(given: Sequence[str]) -> tuple[Sequence[str], str | None, Sequence[str]]:
    """The options before the command, the command, and what follows it."""
    for at, word in enumerate(given):
        if not word.startswith("-"):
            return given[:at], word, given[at + 1 :]
    return given, None, ()


def _without_command(options: Sequence[str]) -> int:
    if "--version" in options:
        from runctl.screen import put
        from rund import __version__

        put(f"runctl {__version__}")
        return DONE
    from runctl.help import overview

    if options and options[0] not in ("-h", "--help"):
        raise UsageError(f"there is no option {options[0]} before a command; see runctl --help")
    overview()
    return DONE if options else USAGE


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], n=1)
    return f": did you mean {near[0]}?" if near else ""
