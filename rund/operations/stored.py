"""An operation as the text that the store keeps of it, and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rund.model.operation import FlagDef, FlagType, Operation, OperationKind, Passing


def operation_to_json(operation: Operation) -> str:
    """Text that is equal for equal operations; `operation_from_json` reads it back exactly."""
    return json.dumps(asdict(operation), sort_keys=True, separators=(",", ":"))


def operation_from_json(text: str) -> Operation:
    """The operation that `operation_to_json` wrote; keys that it does not have take their defaults."""
    fields: dict[str, Any] = json.loads(text)
    return Operation(
        **{
            **fields,
            "kind": OperationKind(fields["kind"]),
            "arguments": tuple(fields.get("arguments", ())),
            "flags": tuple(_flag(flag) for flag in fields.get("flags", ())),
        }
    )


def _flag(fields: dict[str, Any]) -> FlagDef:
    kind = fields.get("type")
    choices = fields.get("choices")
    return FlagDef(
        **{
            **fields,
            "type": None if kind is None else FlagType(kind),
            "choices": None if choices is None else tuple(choices),
            "passing": Passing(fields.get("passing", Passing.OPTION)),
        }
    )
