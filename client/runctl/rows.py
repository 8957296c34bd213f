"""Trials from standard input: ``@-`` among the arguments, JSON lines to be sent as ``rows``."""

from __future__ import annotations

import sys

from runctl.failures import UsageError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_MARK = "@-"


class _RepeatedNameError(ValueError):
    """A map that has one name twice."""


def split_rows(args: list[str]) -> tuple[list[str], list[dict[str, Any]] | None]:
    """The arguments that the daemon reads, and the rows from standard input if ``@-`` asks for them.

    Raises `UsageError` for a line that is not a JSON map.
    """
    if _MARK not in args:
        return args, None
    files = [arg for arg in args if arg.startswith("@")]
    if len(files) > 1:
        raise UsageError(f"{files[1]}: a batch has one file of trials: give one")
    if sys.stdin.isatty():
        sys.stderr.write("Reading trials as JSON lines from standard input, until Ctrl-D\n")
    return [arg for arg in args if arg != _MARK], read_rows(sys.stdin.buffer)


def read_rows(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The maps of JSON lines; blank lines are passed over.  Raises `UsageError` with the line's number."""
    import json

    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            row = json.loads(text.strip(), object_pairs_hook=_map)
        except UnicodeDecodeError:
            raise _fault(number, "it is not UTF-8") from None
        except RecursionError:
            raise _fault(number, "it is nested too deep") from None
        except json.JSONDecodeError as error:
            raise _fault(number, f"it is not JSON: {error.msg} at column {error.colno}") from None
        except _RepeatedNameError as error:
            raise _fault(number, str(error)) from None
        except ValueError as error:  # a number of too many digits
            raise _fault(number, f"it cannot be read: {error}") from None
        if not isinstance(row, dict):
            raise _fault(number, 'expected a map of flags, such as {"lr": 0.1}')
        rows.append(row)
    if not rows:
        raise UsageError("standard input has no rows: give a map of flags on a line for each trial")
    return rows


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _RepeatedNameError(f"{name!r} is given twice")
        found[name] = value
    return found


def _fault(number: int, what: str) -> UsageError:
    return UsageError(f"standard input, line {number}: {what}")
