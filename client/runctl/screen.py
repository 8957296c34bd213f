"""What a person sees: messages on standard error, results on standard output."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from rund.api.results import RunMap
    from rund.model.values import Flags

SHORT = 8  # digits of an id that are shown
_LISTED = 20  # runs that one message names before it gives a count


def say(message: str) -> None:
    """One message to the person, on standard error."""
    sys.stderr.write(f"{plain(message)}\n")


def put(text: str) -> None:
    """One line, or several, of the result, on standard output."""
    write_output(f"{text}\n".encode(sys.stdout.encoding, "replace"))


def put_json(answer: object) -> None:
    """The answer of the wire as one JSON object, indented on a terminal.

    JSON has no bytes and no infinite numbers: bytes become text (with ``\\ufffd`` for what is not UTF-8), the numbers
    become the texts ``nan``, ``inf`` and ``-inf``, as flags spell them.
    """
    import json

    put(json.dumps(_for_json(answer), allow_nan=False, indent=2 if sys.stdout.isatty() else None))


def _for_json(value: object) -> object:
    if isinstance(value, dict):
        return {name: _for_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_for_json(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    return value


def write_output(data: bytes) -> None:
    """Bytes on standard output, as they are, at once.

    All of them: with PYTHONUNBUFFERED the stream is raw, and takes in one go no more than a pipe has room for.
    """
    left = memoryview(data)
    while left:
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


def plain(text: str) -> str:
    """``text`` without anything that would move a terminal's cursor or colour it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def width() -> int | None:
    """The columns of the terminal that standard output is; None if it is none, where lines are not cut."""
    if not sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def short(run_id: str) -> str:
    """An id as it is shown."""
    return run_id[:SHORT]


def counted(ids: list[str]) -> str:
    """Ids as a message names them: the first 20, then a count."""
    named = " ".join(map(short, ids[:_LISTED]))
    return named if len(ids) <= _LISTED else f"{named} and {len(ids) - _LISTED} more"


def described(run: RunMap) -> str:
    """``6d0f7a11: echo.py (x=1.0, y=2)``."""
    return f"{short(run['id'])}: {run['operation']}{described_flags(run['flags'])}"


def described_flags(flags: Flags) -> str:
    """`` (x=1.0, y=2)``, to stand after a name; nothing where there are no flags."""
    from rund.model.values import format_flags

    text = format_flags(flags)
    return f" ({text})" if text else ""
