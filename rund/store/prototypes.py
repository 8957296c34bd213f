"""Prototypes of batches, as the text that the store keeps."""

from __future__ import annotations

import json
from typing import Any, Final

from rund.model.batch import Prototype
from rund.model.space import Optimizer
from rund.operations.stored_space import space_from_json, space_to_json
from rund.store.codec import dump

_LARGEST: Final = 2**63 - 1  # integer that SQLite keeps


def prototype_to_json(prototype: Prototype) -> str:
    """Text that `prototype_from_json` reads back exactly."""
    return dump(
        {
            "space": space_to_json(prototype.space),
            "rows": prototype.rows,
            "optimizer": prototype.optimizer.value,
            "optimizer_named": prototype.optimizer_named,
            "max_trials": prototype.max_trials,
            "jobs": prototype.jobs,
            "retries": prototype.retries,
            "fail_fast": prototype.fail_fast,
        }
    )


def prototype_from_json(text: str) -> Prototype:
    """The prototype that `prototype_to_json` wrote.  Raises `rund.store.damage.FAULTS` for other JSON."""
    fields: dict[str, Any] = json.loads(text)
    prototype = Prototype(
        space=space_from_json(fields["space"]),
        rows=fields["rows"],
        optimizer=Optimizer(fields["optimizer"]),
        optimizer_named=fields["optimizer_named"],
        max_trials=fields["max_trials"],
        jobs=fields["jobs"],
        retries=fields["retries"],
        fail_fast=fields["fail_fast"],
    )
    kinds: list[tuple[object, Any]] = [
        (prototype.rows, str | None),
        (prototype.optimizer_named, bool),
        (prototype.fail_fast, bool),
    ]
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise TypeError("it is of another type")
    for number, least in ((prototype.max_trials or 1, 1), (prototype.jobs or 1, 1), (prototype.retries, 0)):
        if type(number) is not int or not least <= number <= _LARGEST:
            raise ValueError(f"{number!r} is no such number")
    return prototype
