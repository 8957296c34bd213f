"""Grids: their cells in order, and which of them are kept where there are too many.

A grid counts through its lists by name, the last one fastest.  Nothing here holds more than the cells that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Final

from rund.engine.draws import encode, item_weights, items, ranks, weight
from rund.engine.random_search import ListDraws
from rund.model.space import Choices, FlagSpace
from rund.model.values import FlagValue

RANKED_CELLS: Final = 2_000_000  # a larger grid is drawn from
_INDEX_BITS: Final = 21  # enough for RANKED_CELLS
_SLACK: Final = 65_536

Cell = tuple[int, ...]  # the position of its value in each list


@dataclass(frozen=True)
class Grid:
    """The cells of one or more lists; ``row`` is the encoded row of the file that it belongs to."""

    names: tuple[str, ...]
    lists: tuple[tuple[FlagValue, ...], ...]
    row: bytes = b""

    @cached_property
    def size(self) -> int:
        """The number of cells; a grid of no lists has one."""
        return prod(map(len, self.lists))

    @cached_property
    def _sizes_from_last(self) -> list[int]:
        return [len(values) for values in reversed(self.lists)]

    @cached_property
    def keys(self) -> list[list[bytes]]:
        """For each list, the encoded name and item of each of its values."""
        return [
            [encode(name) + item for item in items(values)] for name, values in zip(self.names, self.lists, strict=True)
        ]

    def key(self, cell: Cell) -> bytes:
        """The encoded cell."""
        return self.row + b"".join(keys[at] for keys, at in zip(self.keys, cell, strict=True))

    def cells(self) -> Iterator[Cell]:
        """All cells, in order."""
        return product(*(range(len(values)) for values in self.lists))

    def cell(self, index: int) -> Cell:
        """The cell that stands at ``index`` in the grid's order."""
        positions: list[int] = []
        for size in self._sizes_from_last:
            index, at = divmod(index, size)
            positions.append(at)
        return tuple(positions[::-1])

    def index(self, cell: Cell) -> int:
        """Where the cell stands in the grid's order."""
        index = 0
        for values, at in zip(self.lists, cell, strict=True):
            index = index * len(values) + at
        return index


def grid_of(varying: Mapping[str, FlagSpace], row: bytes = b"") -> Grid:
    """The grid of the lists in ``varying``."""
    lists = {name: space.values for name, space in sorted(varying.items()) if isinstance(space, Choices)}
    return Grid(names=tuple(lists), lists=tuple(lists.values()), row=row)


def lowest_cells(grids: Iterable[Grid], count: int, seed: int) -> list[int]:
    """The ``count`` cells of lowest rank among at most `RANKED_CELLS`, as indexes that run on from grid to grid."""
    kept: list[int] = []
    bound = 2**64
    start = 0
    for block in _rank_blocks(grids, seed):
        kept += [rank << _INDEX_BITS | index for index, rank in enumerate(block, start) if rank <= bound]
        start += len(block)
        if len(kept) > 2 * count + _SLACK:
            kept.sort()
            del kept[count:]
            bound = kept[-1] >> _INDEX_BITS
    kept.sort()
    return sorted(each & (1 << _INDEX_BITS) - 1 for each in kept[:count])


def _rank_blocks(grids: Iterable[Grid], seed: int) -> Iterator[Sequence[int]]:
    prefix = encode("keep", seed)
    for grid in grids:
        weights = item_weights(seed, grid.names[-1], items(grid.lists[-1])) if grid.names else [1]
        for outer in product(*grid.keys[:-1]):
            yield ranks(weight(prefix + grid.row + b"".join(outer)), weights)


def drawn_cells(grid: Grid, count: int, seed: int) -> list[int]:
    """``count`` cells, drawn as random search draws, each once; as indexes in the grid's order."""
    draws = [ListDraws(seed, name, values) for name, values in zip(grid.names, grid.lists, strict=True)]
    drawn: set[int] = set()
    number = 0
    while len(drawn) < count:
        drawn.add(grid.index(tuple(each.place(number) for each in draws)))
        number += 1
    return sorted(drawn)
