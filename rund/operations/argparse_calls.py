"""Finds the calls by which a script builds its argparse parser, in its syntax tree.

What counts as a parser: a call of ``ArgumentParser``, however imported, or of a class derived from it; a name or
attribute that such a call, or one of a parser's groups, is assigned to; and a function's parameter that is annotated as
a parser or named like one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

_GROUPS = ("add_argument_group", "add_mutually_exclusive_group")


@dataclass(slots=True, kw_only=True)
class ParserNames:
    """What the names of a script mean to argparse."""

    modules: set[str] = field(default_factory=set)  # argparse itself
    members: dict[str, str] = field(default_factory=dict)  # name in the script: name in argparse
    makers: set[str] = field(default_factory=set)  # classes derived from ArgumentParser
    parsers: set[str] = field(default_factory=set)  # names and dotted attributes

    def member(self, node: ast.expr | None) -> str | None:
        """The name in argparse of what ``node`` names: ``"SUPPRESS"`` for ``argparse.SUPPRESS``."""
        match node:
            case ast.Name(id=name):
                return self.members.get(name)
            case ast.Attribute(value=ast.Name(id=module), attr=attribute) if module in self.modules:
                return attribute
            case _:
                return None

    def makes_parser(self, node: ast.expr | None) -> bool:
        """Whether ``node`` is a call that makes a parser or a group of one."""
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _GROUPS:
                return self.is_parser(owner)
            case ast.Call(func=ast.Name(id=name)) if name in self.makers:
                return True
            case ast.Call(func=function):
                return self.member(function) == "ArgumentParser"
            case _:
                return False

    def is_parser(self, node: ast.expr) -> bool:
        """Whether ``node`` stands for a parser or a group of one."""
        return dotted(node) in self.parsers or self.makes_parser(node)


def dotted(node: ast.expr | None) -> str | None:
    """``self.parser`` for such an expression; None for what is not made of names and dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def parser_names(tree: ast.Module) -> ParserNames | None:
    """What stands for parsers in the script; None if it makes none."""
    names = ParserNames()
    nodes = list(ast.walk(tree))
    for node in nodes:
        _note_import(names, node)
    if not names.modules and not names.members:
        return None
    for node in nodes:
        if isinstance(node, ast.ClassDef) and any(_is_maker(names, parent) for parent in node.bases):
            names.makers.add(node.name)
    if not any(isinstance(node, ast.Call) and _is_maker(names, node.func) for node in nodes):
        return None
    for node in nodes:
        if isinstance(node, ast.arg) and _is_parser_argument(names, node):
            names.parsers.add(node.arg)
        elif isinstance(node, ast.ClassDef) and node.name in names.makers:
            names.parsers.add("self")
    _note_assignments(names, nodes)
    return names


def calls_on_parsers(tree: ast.Module, names: ParserNames) -> Iterator[tuple[str, ast.Call]]:
    """The calls of methods of parsers, with the method's name, in the order of the text."""
    calls = [
        (node.func.attr, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and names.is_parser(node.func.value)
    ]
    return iter(sorted(calls, key=lambda call: (call[1].end_lineno or 0, call[1].end_col_offset or 0)))


def _is_maker(names: ParserNames, node: ast.expr) -> bool:
    return names.member(node) == "ArgumentParser" or (isinstance(node, ast.Name) and node.id in names.makers)


def _note_import(names: ParserNames, node: ast.AST) -> None:
    match node:
        case ast.Import(names=imported):
            names.modules.update(alias.asname or alias.name for alias in imported if alias.name == "argparse")
        case ast.ImportFrom(module="argparse", names=imported):
            names.members.update({alias.asname or alias.name: alias.name for alias in imported})
        case _:
            pass


def _note_assignments(names: ParserNames, nodes: list[ast.AST]) -> None:
    """Follow assignments of parsers until no new name comes of it; walking order is not the order of execution."""
    found = -1
    while found != len(names.parsers):
        found = len(names.parsers)
        for node in nodes:
            match node:
                case ast.Assign(targets=targets, value=value) if names.is_parser(value):
                    names.parsers.update(filter(None, map(dotted, targets)))
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value)
                    | ast.NamedExpr(target=target, value=value)
                    | ast.withitem(context_expr=value, optional_vars=ast.expr() as target)
                ) if names.is_parser(value):
                    names.parsers.update(filter(None, [dotted(target)]))
                case _:
                    pass


def _is_parser_argument(names: ParserNames, node: ast.arg) -> bool:
    annotation = node.annotation
    if annotation is None:
        return "pars" in node.arg.lower() or "group" in node.arg.lower()
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value.rpartition(".")[2] in ("ArgumentParser", "_ArgumentGroup")
    return names.member(annotation) in ("ArgumentParser", "_ArgumentGroup")
