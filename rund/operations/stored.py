"""An operation, and an environment, as the text that the store keeps of it, and back.

Whatever stands in a damaged store, what is read is of the types that it says, or is told to be damaged.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing
from rund.model.values import check_text, check_value


def operation_to_json(operation: Operation) -> str:
    """Text that is equal for equal operations; `operation_from_json` reads it back exactly."""
    return json.dumps(asdict(operation), sort_keys=True, separators=(",", ":"))


def operation_from_json(text: str) -> Operation:
    """The operation that `operation_to_json` wrote; keys that it does not have take their defaults.

    Raises `InvalidError` if it is damaged.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        operation = Operation(
            **{
                **fields,
                "kind": OperationKind(fields["kind"]),
                "arguments": tuple(fields.get("arguments", ())),
                "flags": tuple(_flag(flag) for flag in fields.get("flags", ())),
            }
        )
        check_text(operation.name)
        _check_texts(operation.entry, operation.project_dir, operation.cwd, operation.target)
        _check_texts(*operation.arguments)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidError("its operation is damaged in the store: make the run anew") from None
    return operation


def environment_from_json(text: str) -> dict[str, str]:
    """The environment that the store keeps as JSON.  Raises `InvalidError` if it is damaged."""
    try:
        environment: dict[str, str] = json.loads(text)
        _check_texts(*environment, *environment.values())
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidError("its environment is damaged in the store: make the run anew") from None
    return environment


def _flag(fields: dict[str, Any]) -> FlagDef:
    kind = fields.get("type")
    choices = fields.get("choices")
    flag = FlagDef(
        **{
            **fields,
            "type": None if kind is None else FlagType(kind),
            "choices": None if choices is None else tuple(choices),
            "passing": Passing(fields.get("passing", Passing.OPTION)),
        }
    )
    check_text(flag.name)
    _check_texts(flag.option or "")
    for value in (flag.default, *(flag.choices or ())):
        check_value(value)
    kinds: list[tuple[object, Any]] = [(flag.declared, bool), (flag.required, bool), (flag.nargs, int | str | None)]
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise TypeError
    return flag


def _check_texts(*texts: object) -> None:
    for text in texts:
        check_text(text, escaped=True)
