"""The flags of an operation of ``rund.toml``: those of its script, changed and extended by what the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Passing
from rund.operations.fit import fit_value
from rund.operations.given import is_flag_name, same_name
from rund.operations.literal_flags import type_of


def declared_flags(
    flags: tuple[FlagDef, ...], told: Mapping[str, dict[str, Any]], *, path: str, operation: str
) -> tuple[FlagDef, ...]:
    """``flags`` with what the file at ``path`` tells of them, then those that only it knows.

    Raises `InvalidError` with the path and the key for what does not fit together.
    """
    literal = any(flag.passing is Passing.LITERAL for flag in flags)
    by_name = {same_name(flag.name): flag for flag in flags}
    for name, fields in told.items():
        key = f"{path}: operations.{operation}.flags.{name}"
        if not is_flag_name(name):
            raise InvalidError(f"{key}: a flag's name has letters, digits, '_', '-' and '.'", field="operation")
        flag = by_name.get(same_name(name))
        if flag is None and literal:
            flag = FlagDef(name=name, passing=Passing.ENVIRONMENT)
        elif flag is None:
            flag = FlagDef(name=name, option=f"--{name}")
        try:
            by_name[same_name(name)] = _changed(flag, fields)
        except InvalidError as error:
            raise InvalidError(f"{key}: {error.message}", field="operation") from None
    return tuple(by_name.values())


def _changed(flag: FlagDef, fields: Mapping[str, Any]) -> FlagDef:
    if "type" in fields:
        kind = FlagType(fields["type"])
        # An option of a type of the script's own reads words; type=bool would read every word as true.
        hints = kind is FlagType.BOOL and flag.passing is Passing.OPTION
        flag = replace(flag, type=kind, declared=not hints, choices=None)
    if "nargs" in fields:
        flag = replace(flag, nargs=fields["nargs"])
    if flag.type is None and not flag.declared:
        default = fields.get("default")
        flag = replace(flag, type=type_of(default[0] if isinstance(default, list) and default else default))
    if "choices" in fields:
        single = replace(flag, nargs=None, passing=Passing.OPTION, choices=None)
        flag = replace(flag, choices=tuple(fit_value(single, choice) for choice in fields["choices"]))
    default = fields.get("default", flag.default)
    required = fields.get("required", flag.required and "default" not in fields)
    if required and "default" in fields:
        raise InvalidError("a flag that is required has no default")
    return replace(flag, default=None if required else fit_value(flag, default), required=required)
