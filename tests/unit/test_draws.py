"""Keyed draws: the rule of `rund.engine.draws`, followed here a second time and by the letter."""

from __future__ import annotations

import decimal
import hashlib
import math
import struct
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.engine import exponential
from rund.engine.draws import draw, drawer, encode, items
from rund.engine.grid import Grid, drawn_cells, lowest_cells
from rund.engine.random_search import ListDraws, RangeDraws
from rund.model.space import LogUniform, Uniform
from rund.model.values import FlagValue, value_key

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
HASHES = st.integers(0, 2**128 - 1)
ENDS = [0, 1, 2**127, 2**128 - 2, 2**128 - 1]


def by_rule(value: FlagValue) -> bytes:
    match value:
        case None:
            tag, content = b"n", b""
        case bool():
            tag, content = b"b", bytes([value])
        case int():
            tag, content = b"i", str(value).encode("ascii")
        case float():
            tag, content = b"f", bytes.fromhex("7FF8000000000000") if value != value else struct.pack(">d", value)
        case str():
            tag, content = b"s", value.encode("utf-8", "surrogatepass")
        case list():
            tag, content = b"l", b"".join(map(by_rule, value))
    return tag + struct.pack(">I", len(content)) + content


def h(*values: FlagValue) -> int:
    digest = hashlib.blake2b(b"".join(map(by_rule, values)), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def w(*values: FlagValue) -> int:
    return h(*values) // 2**64


def by_item(values: tuple[FlagValue, ...]) -> list[tuple[FlagValue, int]]:
    keys = list(map(value_key, values))
    return [(value, keys[:at].count(keys[at])) for at, value in enumerate(values)]


def test_values_that_differ_are_encoded_differently():
    values: list[FlagValue] = [None, True, False, 1, 1.0, "1", 0.0, -0.0, 0, "", [], [[]], [None], ["a", "b"], ["ab"]]
    assert len({encode(value) for value in values}) == len(values)
    assert encode("ab", 1) == bytes.fromhex("73000000026162690000000131")


@given(VALUES)
def test_the_encoding_follows_the_rule(value: FlagValue):
    assert encode(value) == by_rule(value)


@given(VALUES, VALUES)
def test_encodings_are_equal_just_for_equal_values(one: FlagValue, other: FlagValue):
    assert (encode(one) == encode(other)) == (value_key(one) == value_key(other))


def test_every_nan_is_one_value():
    other = struct.unpack(">d", bytes.fromhex("FFF8000000000001"))[0]
    assert encode(other) == encode(math.nan)


def test_the_hash_follows_the_rule():
    assert draw(encode("range", 7, "lr", 3)) == h("range", 7, "lr", 3)
    assert RangeDraws(7, "lr", Uniform(low=0, high=2**128 - 1)).value(3) == h("range", 7, "lr", 3)


@given(st.lists(VALUES, min_size=1, max_size=8).map(tuple), st.integers(0, 2**32 - 1), st.integers(0, 10**6))
def test_a_list_gives_the_item_of_highest_rank(values: tuple[FlagValue, ...], seed: int, number: int):
    ranked = [
        (w("list", seed, "x", number) | 1) * w("item", seed, "x", value, before) % 2**64
        for value, before in by_item(values)
    ]
    assert ListDraws(seed, "x", values).place(number) == ranked.index(max(ranked))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map(tuple),
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
)
def test_the_cells_of_lowest_rank_are_kept(xs: tuple[FlagValue, ...], ys: tuple[FlagValue, ...], seed: int, count: int):
    ranked = [
        (w("keep", seed, "x", x, x_before) | 1) * w("item", seed, "y", y, y_before) % 2**64
        for x, x_before in by_item(xs)
        for y, y_before in by_item(ys)
    ]
    lowest = sorted(sorted(range(len(ranked)), key=ranked.__getitem__)[:count])
    assert lowest_cells([Grid(names=("x", "y"), lists=(xs, ys))], count, seed) == lowest


def test_pruning_while_ranking_changes_nothing():
    lists = (tuple(range(400)), tuple(range(500)))
    grid = Grid(names=("x", "y"), lists=lists)
    few, many = lowest_cells([grid], 10, 3), lowest_cells([grid], 150_000, 3)
    assert set(few) < set(many)
    assert len(few) == 10


def test_cells_of_a_huge_grid_are_drawn_each_once():
    grid = Grid(names=("a", "b"), lists=(tuple(range(3)), tuple(range(4))))
    cells = drawn_cells(grid, 12, 5)
    assert cells == list(range(12))
    first = (ListDraws(5, "a", grid.lists[0]).place(0), ListDraws(5, "b", grid.lists[1]).place(0))
    assert drawn_cells(grid, 1, 5) == [grid.index(first)]


@given(st.integers(-(2**63), 2**64 - 1), st.integers(-(2**63), 2**64 - 1), HASHES)
def test_integers_lie_between_the_bounds_by_the_rule(one: int, other: int, hashed: int):
    low, high = min(one, other), max(one, other)
    value = drawer(Uniform(low=low, high=high))(hashed)
    assert value == low + math.floor(Fraction(hashed * (high - low + 1), 2**128))
    assert type(value) is int
    assert low <= value <= high


def test_both_ends_of_integers_are_drawn():
    drawn = drawer(Uniform(low=-2, high=2))
    assert [drawn(0), drawn(2**128 - 1)] == [-2, 2]
    whole = drawer(LogUniform(low=1, high=10))
    assert [whole(0), whole(2**128 - 1)] == [1, 10]


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False), HASHES)
def test_floats_are_exact_and_rounded_once(one: float, other: float, hashed: int):
    low, high = min(one, other), max(one, other)
    value = drawer(Uniform(low=low, high=high))(hashed)
    exact = Fraction(low) + (Fraction(high) - Fraction(low)) * Fraction(hashed, 2**128)
    assert value == float(exact)
    assert low <= value <= high


POSITIVE = st.floats(5e-324, 1.7976931348623157e308) | st.floats(1e-6, 10)


@given(
    POSITIVE,
    POSITIVE,
    HASHES | st.sampled_from(ENDS),
)
def test_loguniform_floats_lie_between_the_bounds_by_the_rule(one: float, other: float, hashed: int):
    low, high = min(one, other), max(one, other)
    value = drawer(LogUniform(low=low, high=high))(hashed)
    with decimal.localcontext(decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)):
        start = decimal.Decimal(low).ln()
        exact = (start + (decimal.Decimal(high).ln() - start) * hashed / decimal.Decimal(2**128)).exp()
    assert value == min(max(float(exact), low), high)
    assert type(value) is float


WHOLE = st.integers(1, 100) | st.integers(1, 2**64 - 1)


@given(WHOLE, WHOLE, HASHES | st.sampled_from(ENDS))
def test_loguniform_integers_lie_between_the_bounds_by_the_rule(one: int, other: int, hashed: int):
    low, high = min(one, other), max(one, other)
    value = drawer(LogUniform(low=low, high=high))(hashed)
    with decimal.localcontext(decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)):
        start = decimal.Decimal(low).ln()
        exact = (start + (decimal.Decimal(high + 1).ln() - start) * hashed / decimal.Decimal(2**128)).exp()
    assert value == min(max(math.floor(exact), low), high)
    assert type(value) is int
    assert low <= value <= high


@pytest.mark.parametrize("count", [2, 3, 10, 97])
def test_each_value_of_a_list_is_drawn_equally_often(count: int):
    draws = ListDraws(1, "x", tuple(range(count)))
    seen = Counter(draws.place(number) for number in range(200 * count))
    chi = sum((seen[at] - 200) ** 2 / 200 for at in range(count))
    assert chi < count - 1 + 5 * math.sqrt(2 * count)


def test_each_cell_is_kept_equally_often():
    lists = (tuple(range(6)), tuple(range(10)))
    seen = Counter(
        cell for seed in range(2000) for cell in lowest_cells([Grid(names=("a", "b"), lists=lists)], 6, seed)
    )
    chi = sum((seen[at] - 200) ** 2 / 200 for at in range(60))
    assert chi < 60 + 5 * math.sqrt(120)


def test_repeated_values_are_items_of_their_own():
    assert len(set(items([1, 1, 1.0, True]))) == 4
    draws = ListDraws(1, "x", ("a", "a", "b"))
    share = sum(draws.value(number) == "a" for number in range(3000)) / 3000
    assert 0.6 < share < 0.73


def test_the_integer_exponential_leaves_to_the_rule_what_it_cannot_settle():
    middle = 2**128 + 2**75  # halfway between two floats
    assert exponential._nearest(middle, 0) is None
    assert exponential._nearest(middle + 2**32, 0) is None
    assert exponential._nearest(middle + 2**34, 0) == 1.0000000000000002
    assert exponential._nearest(middle - 2**34, 0) == 1.0
    assert exponential._floor(2**128, 3) is None
    assert exponential._floor(2**128 + 2**40, 3) == 8
    assert exponential._floor(2**128 - 2**40, 3) == 7
