"""Prototypes of batches, as the text that the store keeps."""

from __future__ import annotations

import json
from typing import Any

from rund.model.batch import Prototype
from rund.model.space import Optimizer
from rund.operations.stored_space import space_from_json, space_to_json
from rund.store.codec import dump


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
    """The prototype that `prototype_to_json` wrote."""
    fields: dict[str, Any] = json.loads(text)
    return Prototype(
        space=space_from_json(fields["space"]),
        rows=fields["rows"],
        optimizer=Optimizer(fields["optimizer"]),
        optimizer_named=fields["optimizer_named"],
        max_trials=fields["max_trials"],
        jobs=fields["jobs"],
        retries=fields["retries"],
        fail_fast=fields["fail_fast"],
    )
