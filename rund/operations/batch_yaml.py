"""Files of trials in YAML: a list of maps.

Words without quotes are read as on the command line, so that ``1e-3`` is a number and ``no`` and ``2024-01-01`` are
strings, which older YAML reads otherwise; ``~`` and nothing at all are null.  Aliases are refused.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from rund.errors import InvalidError
from rund.model.values import MAX_DEPTH, FlagValue, ValueSyntaxError, read_scalar
from rund.operations.batch_rows import BatchRows, check_row_count, check_rows, row_error

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {"True": True, "TRUE": True, "False": False, "FALSE": False}


class _YamlError(ValueError):
    """What is wrong with a value."""


def read_yaml(text: str, where: str) -> BatchRows:
    """The rows of a YAML file.  Raises `InvalidError` with file and row."""
    try:
        # Only the tree is read: no tag makes an object.
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except RecursionError:
        raise InvalidError(f"{where}: it is nested too deep", field="args") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InvalidError(f"{where}: it is not YAML: {reason}", field="args") from None
    if not isinstance(root, yaml.SequenceNode):
        raise InvalidError(f"{where}: expected a list of maps, one for each trial", field="args")
    check_row_count(len(root.value), where)
    rows: list[Any] = []
    seen: set[int] = set()
    for number, node in enumerate(root.value, 1):
        try:
            rows.append(_value(node, 0, seen))
        except (_YamlError, ValueSyntaxError) as error:
            raise row_error(where, number, str(error)) from None
    return check_rows(rows, where)


def _value(node: yaml.Node, depth: int, seen: set[int]) -> object:
    if id(node) in seen:
        raise _YamlError("it has an alias (*name): write the value out")
    if depth > MAX_DEPTH:
        raise _YamlError(f"it is nested more than {MAX_DEPTH} deep")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, depth + 1, seen) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        values: dict[Any, Any] = {}
        for name, item in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _YamlError("a flag's name is a word")
            if name.value in values:
                raise _YamlError(f"{name.value!r} is given twice")
            values[name.value] = _value(item, depth + 1, seen)
        return values
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there is no other kind
    return _word(node)


def _word(node: yaml.ScalarNode) -> FlagValue:
    if node.style:  # quoted, or a block; of a plain word it is None or empty, by the parser
        return str(node.value)
    if node.value in _NULLS:
        return None
    if node.value in _BOOLS:
        return _BOOLS[node.value]
    return read_scalar(node.value, node.value)
