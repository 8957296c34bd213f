"""Reads a project's ``rund.toml``: named operations.

    [operations.train]
    script = "src/train.py"                # a Python script, relative to rund.toml
    flags.lr = 0.01                        # another default for a flag of the script
    flags.depth = { default = 2, type = "int", choices = [2, 4, 8] }
    inputs = ["data"]                      # linked into each run's directory

    [operations.simulate]
    command = ["bash", "./simulate.sh"]    # or one string, split as a shell does; "./" is the folder of rund.toml
    flags.steps = { type = "int", required = true }

An operation has either ``script`` or ``command``.  A flag is a plain default or a table of ``default``, ``type`` (int,
float, str, bool), ``choices``, ``required`` and ``nargs``; what it does not say stays as the script has it.
"""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from rund.errors import InvalidError
from rund.model.values import MAX_INTEGER, MIN_INTEGER, FlagValue

NAME: Final = "rund.toml"
_FLAG_KEYS: Final = frozenset({"default", "type", "choices", "required", "nargs"})
_OPERATION_KEYS: Final = frozenset({"script", "command", "flags", "inputs"})
_TYPES: Final = ("int", "float", "str", "bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One operation of a project file; each flag is a map of what the file says of it."""

    name: str
    script: str | None
    command: tuple[str, ...]
    flags: dict[str, dict[str, Any]]
    inputs: tuple[str, ...]


def read_project(text: str, path: str) -> dict[str, Entry]:
    """The operations of the project file, by name.  Raises `InvalidError` with ``path`` and the key at fault."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidError(f"{path}: {error}", field="operation") from None
    _only(document, frozenset({"operations"}), path, "")
    operations = _table(document.get("operations", {}), path, "operations")
    return {name: _read_entry(name, value, path) for name, value in operations.items()}


def _read_entry(name: str, value: object, path: str) -> Entry:
    key = f"operations.{name}"
    table = _table(value, path, key)
    _only(table, _OPERATION_KEYS, path, f"{key}.")
    if ("script" in table) == ("command" in table):
        raise _wrong(path, key, "give either a script or a command")
    script = table.get("script")
    if script is not None and (not isinstance(script, str) or not script):
        raise _wrong(path, f"{key}.script", "expected the path of a Python script")
    flags = _table(table.get("flags", {}), path, f"{key}.flags")
    return Entry(
        name=name,
        script=script,
        command=_read_command(table["command"], path, f"{key}.command") if script is None else (),
        flags={flag: _read_flag(told, path, f"{key}.flags.{flag}") for flag, told in flags.items()},
        inputs=tuple(_texts(table.get("inputs", []), path, f"{key}.inputs")),
    )


def _read_command(value: object, path: str, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise _wrong(path, key, str(error)) from None
    else:
        words = _texts(value, path, key)
    if not words or not words[0]:
        raise _wrong(path, key, "expected a program and its arguments")
    return tuple(words)


def _read_flag(value: object, path: str, key: str) -> dict[str, Any]:
    told = value if isinstance(value, dict) else {"default": value}
    _only(told, _FLAG_KEYS, path, f"{key}.")
    if "type" in told and told["type"] not in _TYPES:
        raise _wrong(path, f"{key}.type", f"expected one of {', '.join(_TYPES)}")
    if not isinstance(told.get("required", False), bool):
        raise _wrong(path, f"{key}.required", "expected true or false")
    nargs = told.get("nargs", 1)
    if nargs not in ("?", "*", "+") and (type(nargs) is not int or not 1 <= nargs <= 1000):
        raise _wrong(path, f"{key}.nargs", 'expected a number, "?", "*" or "+"')
    choices = told.get("choices", [None])
    if not isinstance(choices, list) or not choices:
        raise _wrong(path, f"{key}.choices", "expected a list of values")
    for name, part in (("default", told.get("default")), ("choices", choices)):
        if not _is_value(part):
            raise _wrong(path, f"{key}.{name}", "expected a number, a string, true, false or a list of these")
    return told


def _is_value(value: object) -> bool:
    match value:
        case bool() | float() | None:
            return True
        case int():
            return MIN_INTEGER <= value <= MAX_INTEGER
        case str():
            return "\0" not in value
        case list():
            items: list[FlagValue] = value
            return all(not isinstance(item, list) and _is_value(item) for item in items)
        case _:
            return False


def _table(value: object, path: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, key, "expected a table")
    return value


def _texts(value: object, path: str, key: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item and "\0" not in item for item in value):
        raise _wrong(path, key, "expected a list of strings")
    return value


def _only(table: dict[str, Any], known: frozenset[str], path: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            raise _wrong(path, prefix + key, f"unknown key: known are {', '.join(sorted(known))}")


def _wrong(path: str, key: str, reason: str) -> InvalidError:
    return InvalidError(f"{path}: {key}: {reason}", field="operation")
