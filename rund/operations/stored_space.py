"""A batch's space, or a row of its file, as the text that the store keeps of it, and back.

The text is JSON with NaN and Infinity, as Python writes and reads them exactly.  A varying flag is
``{"choices": [...]}``, ``{"uniform": [low, high]}`` or ``{"loguniform": [low, high]}``, with ``"text"`` beside it where
the text it was given as is known.  What ``range`` and ``linspace`` give may be a million values: they are kept as
``{"series": TYPE}`` with the text, from which they are computed exactly; TYPE is what the flag has made of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rund.model.space import Choices, FlagSpace, LogUniform, Space, Uniform
from rund.model.values import check_flags, check_text, check_value
from rund.operations.stored_series import series_type, series_values


def space_to_json(space: Space, *, texts: bool = True) -> str:
    """Text that is equal for equal spaces; `space_from_json` reads it back exactly.

    Without ``texts`` two spaces are equal however their values were spelled: ``[1,2]`` is ``range[1:2]``.
    """
    varying = {name: _varying(value, texts=texts) for name, value in sorted(space.varying.items())}
    fixed = {name: space.fixed[name] for name in sorted(space.fixed)}
    return json.dumps({"fixed": fixed, "order": space.order, "varying": varying}, separators=(",", ":"))


def space_from_json(text: str) -> Space:
    """The space that `space_to_json` wrote.  Raises `ValueError`, `TypeError` and the like for other JSON."""
    fields: dict[str, Any] = json.loads(text)
    check_flags(fields["fixed"])
    varying = {name: _space(value) for name, value in fields["varying"].items()}
    for name in (*varying, *fields["order"]):
        check_text(name)
    return Space(fixed=fields["fixed"], varying=varying, order=tuple(fields["order"]))


def _varying(space: FlagSpace, *, texts: bool) -> dict[str, Any]:
    match space:
        case Choices():
            kind = series_type(space) if texts else None
            fields: dict[str, Any] = {"choices": space.values} if kind is None else {"series": kind}
        case Uniform():
            fields = {"uniform": [space.low, space.high]}
        case LogUniform():
            fields = {"loguniform": [space.low, space.high]}
    return {**fields, "text": space.text} if texts and space.text is not None else fields


def _space(fields: dict[str, Any]) -> FlagSpace:
    space: FlagSpace
    if "series" in fields:
        space = Choices(values=series_values(fields["text"], fields["series"]))
    elif "choices" in fields:
        check_value(fields["choices"])
        space = Choices(values=tuple(fields["choices"]))
    elif "uniform" in fields:
        space = Uniform(low=_number(fields["uniform"][0]), high=_number(fields["uniform"][1]))
    else:
        space = LogUniform(low=_number(fields["loguniform"][0]), high=_number(fields["loguniform"][1]))
    text = fields.get("text")
    check_text("" if text is None else text)
    return replace(space, text=text)


def _number(value: object) -> int | float:
    check_value(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("this is no number")
    return value
