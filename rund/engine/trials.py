"""Generates the trials of a batch from its space, its rows, its seed and its options.

Rules: section 4 of the product's specification; how values are drawn stands in `rund.engine.draws`.  A batch from a
file is one grid per row, one after the other.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final

from rund.engine.draws import Drawer, draw, drawer, encode
from rund.engine.grid import RANKED_CELLS, Cell, Grid, drawn_cells, grid_of, lowest_cells
from rund.engine.random_search import random_trials
from rund.engine.rows import needs_keys, row_grids, row_sizes, row_spaces
from rund.errors import InvalidError
from rund.model.space import Choices, Optimizer, Row, Space, space_values
from rund.model.values import Flags

MAX_TRIALS: Final = 1_000_000
RANDOM_TRIALS: Final = 20  # of random search, if not said
MAX_RANKED: Final = 100_000_000  # items ranked to draw from lists: about ten seconds


def optimizer_for(space: Space, explicit: Optimizer | None, *, rows: bool = False) -> Optimizer:
    """The optimizer named, else the one that follows from the flags: random where a random function is among them.

    A batch from a file (``rows``) is a grid per row.  Raises `InvalidError` for random search with nothing to draw, or
    over a file.
    """
    if explicit is Optimizer.RANDOM and rows:
        raise InvalidError(
            "optimizer: random search does not go with a file of trials: take --optimizer grid", field="optimizer"
        )
    if explicit is Optimizer.RANDOM and not space.varying:
        raise InvalidError(
            "optimizer: random search has nothing to draw: give a flag a list or a range, such as NAME=[0.1:0.9],"
            " or take --optimizer grid",
            field="optimizer",
        )
    if explicit is not None:
        return explicit
    drawn = any(not isinstance(each, Choices) for each in space.varying.values())
    return Optimizer.RANDOM if drawn and not rows else Optimizer.GRID


def count(space: Space, rows: Sequence[Row] | None, *, optimizer: Optimizer, max_trials: int | None) -> int:
    """How many trials `generate` generates.  Raises `InvalidError` where it does, without generating any."""
    if max_trials is not None and max_trials < 1:
        raise InvalidError(f"max_trials: {max_trials} trials are none: give at least 1, or all", field="max_trials")
    if optimizer is Optimizer.RANDOM:
        optimizer_for(space, optimizer, rows=rows is not None)
        wanted = RANDOM_TRIALS if max_trials is None else max_trials
        _check_trials(wanted)
        _check_ranked(space, wanted)
        return wanted
    cells = grid_of(space.varying).size if rows is None else sum(row_sizes(space, rows))
    wanted = cells if max_trials is None else min(cells, max_trials)
    if wanted > MAX_TRIALS and max_trials is None:
        raise InvalidError(
            f"the grid has {cells:,} trials, and a batch at most {MAX_TRIALS:,}: give --max-trials N to take N of them",
            field="max_trials",
        )
    _check_trials(wanted)
    if wanted < cells and cells > RANKED_CELLS:
        if rows is not None:
            raise InvalidError(
                f"the lists in the file's rows give {cells:,} trials, and at most {RANKED_CELLS:,} can be chosen from:"
                " give shorter lists",
                field="max_trials",
            )
        _check_ranked(space, wanted)
    return wanted


def effort(space: Space, *, optimizer: Optimizer, max_trials: int | None) -> int:
    """How many values `generate` reads and makes, about, and for ten that it ranks another one.

    Raises `InvalidError` as `count` does.
    """
    wanted = count(space, None, optimizer=optimizer, max_trials=max_trials)
    items = _items(space)
    cells = grid_of(space.varying).size
    if optimizer is Optimizer.RANDOM or (wanted < cells and cells > RANKED_CELLS):
        ranked = wanted * items
    else:
        ranked = cells if wanted < cells else 0
    return items + wanted + ranked // 10


def generate(
    space: Space, rows: Sequence[Row] | None = None, *, optimizer: Optimizer, seed: int, max_trials: int | None
) -> Iterator[Flags]:
    """The trials, in order, each with its flags in the space's order; `count` tells how many.

    ``rows`` are those of a file: each is laid over the space.  Raises `InvalidError`, before the first trial, for more
    than `MAX_TRIALS`, for random search with nothing to draw, and for draws that would take minutes.
    """
    wanted = count(space, rows, optimizer=optimizer, max_trials=max_trials)
    if rows is not None:
        return _row_trials(space, rows, wanted, seed)
    if optimizer is Optimizer.RANDOM:
        return random_trials(_template(space), space.varying, count=wanted, seed=seed)
    return _grid_trials(space, grid_of(space.varying), wanted, seed)


def _check_trials(wanted: int) -> None:
    if wanted > MAX_TRIALS:
        raise InvalidError(
            f"max_trials: {wanted:,} trials are too many: a batch has at most {MAX_TRIALS:,}", field="max_trials"
        )


def _check_ranked(space: Space, wanted: int) -> None:
    items = _items(space)
    if wanted * items > MAX_RANKED:
        raise InvalidError(
            f"max_trials: to draw {wanted:,} trials from lists of {items:,} values takes too long:"
            " give shorter lists, or ranges such as NAME=[1:1000000]",
            field="max_trials",
        )


def _items(space: Space) -> int:
    return sum(len(each.values) for each in space.varying.values() if isinstance(each, Choices))


def _template(space: Space) -> Flags:
    return {name: space.fixed.get(name) for name in space_values(space)}


def _row_trials(space: Space, rows: Sequence[Row], wanted: int, seed: int) -> Iterator[Flags]:
    sizes = array("q", row_sizes(space, rows))
    chosen = (
        repeat(None) if wanted == sum(sizes) else _parted(lowest_cells(row_grids(space, rows), wanted, seed), sizes)
    )
    grids = row_grids(space, rows) if needs_keys(space, rows) else None
    for each, cells in zip(row_spaces(space, rows), chosen, strict=False):
        grid = None if grids is None else next(grids)
        if cells is None and not each.varying:
            yield each.fixed
        elif cells is None or cells:
            yield from _cell_trials(each, grid or grid_of(each.varying), cells, seed)


def _parted(kept: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """The kept cells of each grid, by their places in it; ``kept`` are places in all grids, one after the other."""
    start = at = 0
    for size in sizes:
        first = at
        while at < len(kept) and kept[at] < start + size:
            at += 1
        yield [place - start for place in kept[first:at]]
        start += size


def _grid_trials(space: Space, grid: Grid, wanted: int, seed: int) -> Iterator[Flags]:
    if wanted == grid.size:
        chosen = None
    elif grid.size <= RANKED_CELLS:
        chosen = lowest_cells([grid], wanted, seed)
    else:
        chosen = drawn_cells(grid, wanted, seed)
    return _cell_trials(space, grid, chosen, seed)


def _cell_trials(space: Space, grid: Grid, chosen: Sequence[int] | None, seed: int) -> Iterator[Flags]:
    """The trials of the ``chosen`` cells (None: all)."""
    template = _template(space)
    drawn: list[tuple[str, bytes, Drawer]] = [
        (name, encode("cell", seed, name), drawer(each))
        for name, each in space.varying.items()
        if not isinstance(each, Choices)
    ]
    lists = list(zip(grid.names, grid.lists, strict=True))
    cells: Iterator[Cell] = grid.cells() if chosen is None else map(grid.cell, chosen)
    for cell in cells:
        trial = template.copy()
        for (name, values), at in zip(lists, cell, strict=True):
            trial[name] = values[at]
        if drawn:
            key = grid.key(cell)
            for name, prefix, from_hash in drawn:
                trial[name] = from_hash(draw(prefix + key))
        yield trial
