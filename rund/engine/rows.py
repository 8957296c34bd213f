"""The rows of a batch file, laid over the batch's space: one grid per row, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from rund.engine.draws import encode
from rund.engine.grid import Grid, grid_of
from rund.model.space import Choices, FlagSpace, LogUniform, Row, Space, Uniform, space_of, space_values


def row_sizes(space: Space, rows: Sequence[Row]) -> Iterator[int]:
    """The number of cells of each row's grid."""
    whole = _cells(space.varying)
    for row in rows:
        varying = _varying(row)
        yield whole if not varying and not _hidden(space, row) else _cells(_over(space, row, varying))


def row_grids(space: Space, rows: Sequence[Row]) -> Iterator[Grid]:
    """The grid of each row, with the key that tells it from the others."""
    for row, key in zip(rows, _row_keys(rows), strict=True):
        yield grid_of(_over(space, row, _varying(row)), key)


def row_spaces(space: Space, rows: Sequence[Row]) -> Iterator[Space]:
    """The space of each row, in the batch's order; flags that the batch does not have come after them."""
    values = space_values(space)
    for row in rows:
        laid = values | row
        if space.varying or _varying(row):
            yield space_of(laid)
        else:
            # Nothing varies, so all of these are values.
            yield Space(fixed=laid, varying={})  # type: ignore[arg-type]  # dicts are not narrowed by their values


def needs_keys(space: Space, rows: Sequence[Row]) -> bool:
    """Whether a value is drawn for a row's cells."""
    return any(not isinstance(each, Choices) for each in space.varying.values()) or any(
        isinstance(each, Uniform | LogUniform) for row in rows for each in row.values()
    )


def _varying(row: Row) -> dict[str, FlagSpace]:
    return {name: each for name, each in row.items() if isinstance(each, (Choices, Uniform, LogUniform))}


def _hidden(space: Space, row: Row) -> bool:
    return bool(space.varying) and not space.varying.keys().isdisjoint(row)


def _over(space: Space, row: Row, varying: dict[str, FlagSpace]) -> dict[str, FlagSpace]:
    return {name: each for name, each in space.varying.items() if name not in row} | varying


def _cells(varying: dict[str, FlagSpace]) -> int:
    return prod(len(each.values) for each in varying.values() if isinstance(each, Choices))


def _row_keys(rows: Sequence[Row]) -> Iterator[bytes]:
    """For each row the encoded names and values of what it sets to one value, and the number of equal rows before."""
    seen: dict[bytes, int] = {}
    start = encode("row")
    names: dict[str, bytes] = {}
    for row in rows:
        parts = [start]
        for name in sorted(row):
            value = row[name]
            if not isinstance(value, (Choices, Uniform, LogUniform)):
                if name not in names:
                    names[name] = encode(name)
                parts += (names[name], encode(value))
        key = b"".join(parts)
        before = seen.get(key, 0)
        seen[key] = before + 1
        yield key + encode(before)
