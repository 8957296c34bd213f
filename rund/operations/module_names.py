"""Which names of a module are bound once, at its top level, to what."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from rund.model.values import FlagValue
from rund.operations.constants import UnreadableError, read_constant

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def single_assignments(tree: ast.Module) -> dict[str, ast.expr]:
    """The values of the names that only one plain ``NAME = VALUE`` statement at the top level binds, in their order."""
    counts = Counter(_bound_names(tree))
    values: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if counts[name] == 1:
                values[name] = value
            case _:
                pass
    return values


def module_constants(tree: ast.Module) -> dict[str, FlagValue]:
    """The readable values of names that are bound once, so that they hold wherever they are used."""
    constants: dict[str, FlagValue] = {}
    for name, value in single_assignments(tree).items():
        try:
            constants[name] = read_constant(value, constants)
        except UnreadableError:
            continue
    return constants


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Every binding or deletion of a name of the module, once for each."""
    pending: list[tuple[ast.AST, bool]] = [(tree, True)]
    while pending:
        node, outermost = pending.pop()
        if outermost:
            yield from _bindings(node)
        if isinstance(node, ast.Global):
            yield from node.names
        pending += ((child, _stays_outermost(node, child, outermost=outermost)) for child in ast.iter_child_nodes(node))


def _stays_outermost(node: ast.AST, child: ast.AST, *, outermost: bool) -> bool:
    """Whether names that ``child`` binds are the module's: not the bodies of functions and classes."""
    if not outermost:
        return False
    if isinstance(node, _SCOPES):
        body: object = node.body
        return not (child is body or (isinstance(body, list) and child in body))
    return not isinstance(node, ast.comprehension) or child is not node.target


def _bindings(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(), value=None):
            return
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case _:
            return
