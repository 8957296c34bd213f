"""What an operation is: what is run, which flags it has, and how their values reach it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rund.model.values import FlagValue


class OperationKind(StrEnum):
    """What executes it."""

    PYTHON = "python"  # a script, run by the interpreter of the client's environment
    EXECUTABLE = "executable"  # any other program


class FlagType(StrEnum):
    """The type of a flag's values."""

    INT = "int"
    FLOAT = "float"
    STR = "str"
    BOOL = "bool"


class Passing(StrEnum):
    """How a flag's value reaches the process; it is in the environment as ``FLAG_NAME`` besides."""

    OPTION = "option"  # --name value; a list as several values where the flag has nargs
    SWITCH_ON = "switch-on"  # --name, bare, when true (argparse's store_true)
    SWITCH_OFF = "switch-off"  # --name, bare, when false (argparse's store_false)
    SWITCH_BOTH = "switch-both"  # --name or --no-name (argparse's BooleanOptionalAction)
    REPEATED = "repeated"  # --name value, once for each value of a list (argparse's append)
    COUNTED = "counted"  # --name, bare, so many times (argparse's count)
    POSITIONAL = "positional"  # its place among the arguments
    LITERAL = "literal"  # put in place of the script's own top-level literal
    ENVIRONMENT = "environment"  # nothing but the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagDef:
    """One flag that an operation knows."""

    name: str  # its longest option without dashes, as the script spells it
    type: FlagType | None = None  # None: any value
    declared: bool = False  # True: the type binds; False: it only hints
    default: FlagValue = None
    required: bool = False  # it has no default and must be given
    choices: tuple[FlagValue, ...] | None = None
    nargs: str | int | None = None  # argparse's: a number, "?", "*", "+"; None: one value
    passing: Passing = Passing.OPTION
    option: str | None = None  # the option as it is passed: "--batch-size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is run; kept with each run, so that a restart needs nothing else."""

    name: str  # as users see it: "echo.py", or the entry of rund.toml
    kind: OperationKind
    entry: str  # the script or program: relative to the source's root, or absolute where it is run in place
    arguments: tuple[str, ...] = ()  # fixed ones, before the flags
    flags: tuple[FlagDef, ...] = ()
    project_dir: str  # absolute: the folder that the source was taken from
    cwd: str  # absolute: where the client stood
    target: str  # absolute path or name as found again by --update-source
