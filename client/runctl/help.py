"""The help of ``runctl`` and of each command, from the tables that the arguments are read by."""

from __future__ import annotations

import textwrap

from runctl.arguments import COMMON, Command, Option
from runctl.dispatch import COMMANDS
from runctl.failures import DONE
from runctl.screen import put, width

_WIDEST = 100
_INDENT = 2


def overview() -> None:
    """Print every command with what it does."""
    columns = min(width() or 80, _WIDEST)
    rows = [(name, summary) for name, (_, summary) in COMMANDS.items()]
    lines = [
        "runctl COMMAND: run things, follow them, and look at what they left",
        "",
        *_table(rows, columns),
        "",
        "runctl COMMAND --help tells more; runctl --version tells the version.",
        "Example: runctl run train.py lr=0.1",
    ]
    put("\n".join(lines))


def show_help(command: Command) -> int:
    """Print the help of one command."""
    put(render(command, min(width() or 80, _WIDEST)))
    return DONE


def render(command: Command, columns: int) -> str:
    """The help of ``command``, in lines of at most ``columns`` where its words allow."""
    options = [(_form(option), option.meaning) for option in (*command.options, *COMMON)]
    lines = [
        f"runctl {command.name} {command.words}".rstrip(),
        "",
        *textwrap.wrap(command.summary, columns),
        *(["", *textwrap.wrap(command.more, columns)] if command.more else []),
        "",
        *_table(options, columns),
        "",
        *textwrap.wrap(f"Example: {command.example}", columns, subsequent_indent=" " * 9, break_on_hyphens=False),
    ]
    return "\n".join(lines)


def _form(option: Option) -> str:
    names = ", ".join(option.names)
    return names if option.value is None else f"{names} {option.value}"


def _table(rows: list[tuple[str, str]], columns: int) -> list[str]:
    """Two columns, the second wrapped beside the first."""
    left = max(len(name) for name, _ in rows) + 2 * _INDENT
    lines: list[str] = []
    for name, meaning in rows:
        wrapped = textwrap.wrap(meaning, max(columns - left, 20))
        lines.append(f"{' ' * _INDENT}{name}".ljust(left) + wrapped[0])
        lines += [" " * left + line for line in wrapped[1:]]
    return lines
