"""The command line and the environment that an operation is run with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rund.errors import InvalidError
from rund.model.operation import FlagDef, Operation, OperationKind, Passing
from rund.model.values import Flags, FlagValue
from rund.operations.argument_text import argument_text, environment_name, environment_text, listed_text
from rund.operations.assign import unknown_flag
from rund.operations.fit import MOST_COUNTED

BOOTSTRAP: Final = str(Path(__file__).parent / "bootstrap" / "rund_script.py")
BOOTSTRAP_VARIABLE: Final = "RUND_SCRIPT"

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What is executed, and what its environment has besides the client's."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def command_line(operation: Operation, flags: Flags, *, source_dir: Path | None, python: str | None) -> CommandLine:
    """How ``operation`` is executed with ``flags``.

    ``source_dir`` is where its source was copied to (None: it is run in place), ``python`` the interpreter for
    scripts.  Raises `InvalidError` where one of them is needed and missing, and for a count that nobody can have given.
    """
    known = {flag.name: flag for flag in operation.flags}
    pairs = [(known.get(name) or unknown_flag(operation, name), value) for name, value in flags.items()]
    environment = {environment_name(name): environment_text(value) for name, value in flags.items()}
    entry = _in_source(operation, operation.entry, source_dir)
    start = [entry]
    if operation.kind is OperationKind.PYTHON:
        if python is None:
            raise InvalidError(f"{operation.name} needs Python, and there is none on the PATH")
        literals = {flag.name: value for flag, value in pairs if flag.passing is Passing.LITERAL}
        if literals:
            environment[BOOTSTRAP_VARIABLE] = _bootstrap_text(entry, literals)
        start = [python, BOOTSTRAP, entry] if literals else [python, entry]
    arguments = [
        _in_source(operation, argument, source_dir) if argument.startswith("./") else argument
        for argument in operation.arguments
    ]
    argv = (*start, *arguments, *_options(pairs), *_positionals(pairs))
    return CommandLine(argv=argv, environment=environment)


def _in_source(operation: Operation, path: str, source_dir: Path | None) -> str:
    if Path(path).is_absolute():
        return path
    return str((Path(operation.project_dir) if source_dir is None else source_dir) / path)


def _bootstrap_text(script: str, literals: Flags) -> str:
    """JSON that is a Python expression too: the bootstrap reads it without the time that importing json takes."""
    text = json.dumps({"script": script, "values": literals}, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _options(pairs: list[tuple[FlagDef, FlagValue]]) -> Iterator[str]:
    for flag, value in pairs:
        if value is not None:
            yield from _option(flag, value)


def _option(flag: FlagDef, value: FlagValue) -> list[str]:
    name = flag.option or f"--{flag.name}"
    match flag.passing:
        case Passing.OPTION if isinstance(value, list) and len(value) != 1:
            return [name, *(listed_text(flag, item) for item in value)]
        case Passing.OPTION:
            return _named(name, argument_text(flag, value[0] if isinstance(value, list) else value))
        case Passing.REPEATED:
            items = value if isinstance(value, list) else [value]
            return [part for item in items for part in _named(name, argument_text(flag, item))]
        case Passing.COUNTED:
            return [name] * _times(flag, value) if isinstance(value, int) else []
        case Passing.SWITCH_ON:
            return [name] if value is True else []
        case Passing.SWITCH_OFF:
            return [name] if value is False else []
        case Passing.SWITCH_BOTH:
            return [name if value is True else "--no-" + name.removeprefix("--")]
        case Passing.POSITIONAL | Passing.LITERAL | Passing.ENVIRONMENT:
            return []


def _times(flag: FlagDef, value: int) -> int:
    least = flag.default if isinstance(flag.default, int) else 0
    if value - least > MOST_COUNTED:  # of a damaged store: nobody can have given it, and no memory may hold it
        raise InvalidError(f"{flag.name}: expected a count of {least + MOST_COUNTED} at most, got {value}")
    return value - least


def _named(name: str, text: str) -> list[str]:
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


def _positionals(pairs: list[tuple[FlagDef, FlagValue]]) -> list[str]:
    """The positional arguments, after ``--`` where they, or the values before them, could be read as something else."""
    texts: list[str] = []
    for flag, value in pairs:
        if flag.passing is Passing.POSITIONAL and value is not None:
            texts += [argument_text(flag, item) for item in (value if isinstance(value, list) else [value])]
    greedy = any(
        flag.passing is Passing.OPTION and flag.nargs in ("?", "*", "+") and value is not None for flag, value in pairs
    )
    guard = texts and (greedy or any(text.startswith("-") for text in texts))
    return ["--", *texts] if guard else texts
