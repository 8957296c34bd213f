"""Random search: each trial's values are drawn by its number, whatever the other trials are."""

from __future__ import annotations

from collections.abc import Iterator

from rund.engine.draws import draw, drawer, encode, item_weights, items, ranks, weight
from rund.model.space import Choices, FlagSpace
from rund.model.values import Flags, FlagValue


class ListDraws:
    """Draws from the list of a flag, by the trial's number."""

    def __init__(self, seed: int, name: str, values: tuple[FlagValue, ...]) -> None:
        self._values = values
        self._weights = item_weights(seed, name, items(values))
        self._prefix = encode("list", seed, name)

    def place(self, number: int) -> int:
        """Where the value that trial ``number`` takes stands in the list."""
        ranked = ranks(weight(self._prefix + encode(number)), self._weights)
        return ranked.index(max(ranked))

    def value(self, number: int) -> FlagValue:
        """The value that trial ``number`` takes."""
        return self._values[self.place(number)]


class RangeDraws:
    """Draws from the range of a flag, by the trial's number."""

    def __init__(self, seed: int, name: str, space: FlagSpace) -> None:
        assert not isinstance(space, Choices)  # noqa: S101 - lists are drawn by rank
        self._draw = drawer(space)
        self._prefix = encode("range", seed, name)

    def value(self, number: int) -> FlagValue:
        """The value that trial ``number`` takes."""
        return self._draw(draw(self._prefix + encode(number)))


def random_trials(template: Flags, varying: dict[str, FlagSpace], *, count: int, seed: int) -> Iterator[Flags]:
    """``count`` trials: ``template``, which has all flags in their order, with the varying ones drawn."""
    draws = {name: _draws(seed, name, space) for name, space in varying.items()}
    for number in range(count):
        trial = template.copy()
        for name, each in draws.items():
            trial[name] = each.value(number)
        yield trial


def _draws(seed: int, name: str, space: FlagSpace) -> ListDraws | RangeDraws:
    return ListDraws(seed, name, space.values) if isinstance(space, Choices) else RangeDraws(seed, name, space)
