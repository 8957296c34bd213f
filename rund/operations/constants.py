"""Values that source text spells out, read without running it.

A value is readable if it is a literal, simple arithmetic of readable numbers, a list or tuple of readable values, or
the name of a readable constant of the module; and if rund can keep and pass it: integers of 64 bits, strings of at most
`MAX_TEXT` characters that are valid UTF-8 without null characters.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from rund.model.values import MAX_INTEGER, MIN_INTEGER, FlagValue

MAX_TEXT: Final = 4096
_MAX_DEPTH: Final = 50
_MAX_BITS: Final = 256

Constants = Mapping[str, FlagValue]


class UnreadableError(Exception):
    """An expression whose value only running it would tell."""


def read_constant(node: ast.expr, constants: Constants, depth: int = 0) -> FlagValue:
    """The value of an expression.  Raises `UnreadableError`."""
    if depth > _MAX_DEPTH:
        raise UnreadableError
    match node:
        case ast.Constant(value=value):
            return _kept(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _number(operand, constants, depth)
            return _kept(-number if isinstance(sign, ast.USub) else number)
        case ast.BinOp(left=left, op=op, right=right):
            return _kept(_arithmetic(op, _number(left, constants, depth), _number(right, constants, depth)))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [read_constant(item, constants, depth + 1) for item in items]
        case ast.Name(id=name) if name in constants:
            return constants[name]
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
            return _float(text)
        case _:
            raise UnreadableError


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UnreadableError from None


def _kept(value: object) -> FlagValue:
    match value:
        case None | bool() | float():
            return value
        case int() if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
        case str() if (
            len(value) <= MAX_TEXT and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        ):
            return value
        case _:
            raise UnreadableError


def _number(node: ast.expr, constants: Constants, depth: int) -> int | float:
    value = read_constant(node, constants, depth + 1)
    if isinstance(value, int | float):
        return value
    raise UnreadableError


def _arithmetic(op: ast.operator, left: float, right: float) -> object:
    try:
        match op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return left / right
            case ast.FloorDiv():
                return left // right
            case ast.Mod():
                return left % right
            case ast.Pow() if not (isinstance(left, int) and isinstance(right, int)) or _is_small_power(left, right):
                return left**right
            case ast.LShift() if isinstance(left, int) and isinstance(right, int) and 0 <= right <= _MAX_BITS:
                return left << right
            case _:
                raise UnreadableError
    except ArithmeticError:
        raise UnreadableError from None


def _is_small_power(base: int, exponent: int) -> bool:
    return abs(exponent) * max(abs(base).bit_length(), 1) <= _MAX_BITS
