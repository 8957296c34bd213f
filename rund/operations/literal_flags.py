"""Flags that are a script's own top-level literals."""

from __future__ import annotations

import ast

from rund.model.operation import FlagDef, FlagType, Passing
from rund.model.values import FlagValue
from rund.operations.constants import UnreadableError, read_constant
from rund.operations.module_names import single_assignments


def literal_flags(tree: ast.Module) -> tuple[FlagDef, ...]:
    """The numbers, strings, booleans and None that the module assigns once to a name without leading underscore."""
    flags: list[FlagDef] = []
    for name, value in single_assignments(tree).items():
        if name.startswith("_") or not _is_literal(value):
            continue
        try:
            default = read_constant(value, {})
        except UnreadableError:
            continue
        flags.append(FlagDef(name=name, type=type_of(default), default=default, passing=Passing.LITERAL))
    return tuple(flags)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float)
    return isinstance(node, ast.Constant)


def type_of(value: FlagValue) -> FlagType | None:
    """The type that a value hints at."""
    match value:
        case bool():
            return FlagType.BOOL
        case int():
            return FlagType.INT
        case float():
            return FlagType.FLOAT
        case str():
            return FlagType.STR
        case _:
            return None
