"""Flags that are the argparse options and positionals of a script.

What only running the script would tell is left open: a default that cannot be read is null, which leaves the option
out, so that the script's own default holds; an argument whose name cannot be read is no flag.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from rund.errors import InvalidError, UnsupportedError
from rund.model.operation import FlagDef, FlagType, Passing
from rund.model.values import FlagValue, ValueSyntaxError
from rund.operations.argparse_calls import ParserNames, calls_on_parsers, parser_names
from rund.operations.constants import Constants, UnreadableError, read_constant
from rund.operations.fit import fit_value, read_text, takes_list
from rund.operations.literal_flags import type_of
from rund.operations.module_names import module_constants

_TYPES = {kind.value: kind for kind in FlagType}
_SKIPPED = ("help", "version")
_NO_NARGS = ("A...", "...", "==SUPPRESS==")


def argparse_flags(tree: ast.Module, filename: str) -> tuple[FlagDef, ...] | None:
    """The flags of the script; None if it makes no argparse parser.

    Raises `UnsupportedError` if it has subcommands.
    """
    names = parser_names(tree)
    if names is None:
        return None
    constants = module_constants(tree)
    flags: dict[str, FlagDef] = {}
    by_dest: dict[str, str] = {}
    for method, call in calls_on_parsers(tree, names):
        if method == "add_subparsers":
            raise UnsupportedError(
                f"{filename}, line {call.lineno}: rund cannot tell which subcommand its flags belong to: name it in "
                'rund.toml: [operations.NAME] command = ["python", "./SCRIPT", "SUBCOMMAND"]',
                field="operation",
            )
        if method == "add_argument" and (flag := _read_argument(call, names, constants)) is not None:
            flags.setdefault(flag.name, flag)
            dest = _keyword_text(call, "dest") or flag.name.replace("-", "_")
            by_dest.setdefault(dest, flag.name)
        elif method == "set_defaults":
            for keyword in call.keywords:
                if (name := by_dest.get(keyword.arg or "")) is not None:
                    flags[name] = _with_default(flags[name], keyword.value, constants)
    return tuple(flags.values())


def _read_argument(call: ast.Call, names: ParserNames, constants: Constants) -> FlagDef | None:
    """The flag that one ``add_argument`` makes; None if it makes none, or one that cannot be read."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    options = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if None in given or len(options) != len(call.args):
        return None
    action = _action(given.get("action"), names)
    nargs = _nargs(given.get("nargs"), names, constants)
    if action is None or action in _SKIPPED or nargs in _NO_NARGS:
        return None
    if not options:
        options = [dest] if (dest := _keyword_text(call, "dest")) else []
    option = max(options, key=lambda text: len(text.lstrip("-")), default="")
    name = option.lstrip("-")
    if not name:
        return None
    kind, declared = _type(given.get("type"))
    flag = FlagDef(name=name, type=kind, declared=declared, nargs=nargs, option=option)
    if not option.startswith("-"):
        flag = replace(flag, passing=Passing.POSITIONAL, option=None)
        if nargs not in ("?", "*"):
            return _with_choices(replace(flag, required=True), given.get("choices"), constants)
        return _with_default(_with_choices(flag, given.get("choices"), constants), given.get("default"), constants)
    made = _by_action(flag, action, given, constants)
    if made is None:
        return None
    required = _constant(given.get("required"), constants) is True and made.default is None
    return replace(made, required=required)


def _by_action(flag: FlagDef, action: str, given: dict[str | None, ast.expr], constants: Constants) -> FlagDef | None:
    """What ``action`` makes of an option."""
    default = given.get("default")
    switch = replace(flag, type=FlagType.BOOL, declared=True, nargs=None)
    match action:
        case "store":
            return _with_default(_with_choices(flag, given.get("choices"), constants), default, constants)
        case "store_true":
            return replace(switch, default=_constant(default, constants) is True, passing=Passing.SWITCH_ON)
        case "store_false":
            dest = _constant(given.get("dest"), constants)
            if isinstance(dest, str) and dest != flag.name.replace("-", "_"):
                # --no-cuda with dest="cuda": the flag says whether the option is given.
                return replace(switch, default=False, passing=Passing.SWITCH_ON)
            return replace(switch, default=_constant(default, constants) is not False, passing=Passing.SWITCH_OFF)
        case "store_const":
            return replace(switch, default=False, passing=Passing.SWITCH_ON)
        case "BooleanOptionalAction":
            return _with_default(replace(switch, passing=Passing.SWITCH_BOTH), default, constants)
        case "count":
            counted = replace(flag, type=FlagType.INT, declared=True, nargs=None, passing=Passing.COUNTED)
            return _with_default(counted, default, constants)
        case "append" | "extend" if flag.nargs is None or action == "extend":
            # A default list is one that the script goes on from: only the script itself can add to it.
            repeated = replace(flag, nargs=None, passing=Passing.REPEATED)
            return _with_choices(repeated, given.get("choices"), constants)
        case _:
            return None


def _action(node: ast.expr | None, names: ParserNames) -> str | None:
    if node is None:
        return "store"
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    # A class of the script's own stores, most likely, what it is given.
    return names.member(node) or "store"


def _nargs(node: ast.expr | None, names: ParserNames, constants: Constants) -> str | int | None:
    member = {"REMAINDER": "...", "OPTIONAL": "?", "ZERO_OR_MORE": "*", "ONE_OR_MORE": "+"}.get(
        names.member(node) or ""
    )
    value = _constant(node, constants) if member is None else member
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return None


def _type(node: ast.expr | None) -> tuple[FlagType | None, bool]:
    """The declared type; argparse gives text where there is none, and rund goes by the default then."""
    if isinstance(node, ast.Name) and node.id in _TYPES:
        return _TYPES[node.id], True
    return None, node is not None


def _with_choices(flag: FlagDef, node: ast.expr | None, constants: Constants) -> FlagDef:
    """``flag`` with its choices, in its type; without any if one cannot be read."""
    value = _constant(node, constants)
    if not isinstance(value, list) or not value:
        return flag
    if flag.type is None and all(isinstance(choice, str) for choice in value):
        flag = replace(flag, type=FlagType.STR)
    single = replace(flag, nargs=None, passing=Passing.OPTION)
    try:
        return replace(flag, choices=tuple(fit_value(single, choice) for choice in value))
    except InvalidError:
        return flag


def _with_default(flag: FlagDef, node: ast.expr | None, constants: Constants) -> FlagDef:
    """``flag`` with its default, if that can be read and could be given to it."""
    value = _constant(node, constants)
    if flag.type is None and not flag.declared:
        first = value[0] if isinstance(value, list) and value else value
        flag = replace(flag, type=type_of(first))
    if isinstance(value, list) != takes_list(flag):
        return flag
    try:
        default = fit_value(flag, _converted(flag, value))
    except (InvalidError, ValueSyntaxError):
        return flag
    return replace(flag, default=default)


def _converted(flag: FlagDef, value: FlagValue) -> FlagValue:
    """A default as argparse gives it: it calls the declared type on a text, and on nothing else."""
    if not isinstance(value, str) or not flag.declared:
        return value
    match flag.type:
        case FlagType.INT | FlagType.FLOAT:
            return read_text(flag, value)
        case FlagType.BOOL:
            return value != ""
        case FlagType.STR | None:
            return value


def _constant(node: ast.expr | None, constants: Constants) -> FlagValue:
    if node is None:
        return None
    try:
        return read_constant(node, constants)
    except UnreadableError:
        return None


def _keyword_text(call: ast.Call, name: str) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str):
            return keyword.value.value
    return None
