"""The rules that every generation of trials keeps."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.engine.trials import MAX_TRIALS, Optimizer, count, generate, optimizer_for
from rund.errors import InvalidError
from rund.model.space import Choices, FlagSpace, LogUniform, Row, Space, Uniform
from rund.model.values import Flags, FlagValue, trial_key

SEEDS = st.integers(0, 2**32 - 1)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3)
CHOICES = st.lists(SCALARS, min_size=1, max_size=5).map(lambda values: Choices(values=tuple(values)))
RANGES: st.SearchStrategy[FlagSpace] = (
    st.tuples(st.integers(-9, 9), st.integers(1, 9)).map(lambda at: Uniform(low=at[0], high=at[0] + at[1]))
    | st.tuples(st.floats(-9, 9), st.floats(0.5, 9)).map(lambda at: Uniform(low=at[0], high=at[0] + at[1]))
    | st.tuples(st.floats(1e-9, 1), st.floats(2, 9)).map(lambda at: LogUniform(low=at[0], high=at[1]))
    | st.tuples(st.integers(1, 9), st.integers(10, 99)).map(lambda at: LogUniform(low=at[0], high=at[1]))
)
NAMES = st.sampled_from(["a", "b", "B", "learning-rate", "x_1", "é"])


@st.composite
def spaces(draw: st.DrawFn, *, each: st.SearchStrategy[FlagSpace] = CHOICES | RANGES) -> Space:
    names = draw(st.permutations(["a", "b", "B", "learning-rate", "x_1", "é"]))
    varying = {name: draw(each) for name in names[: draw(st.integers(1, 3))]}
    fixed: Flags = {name: draw(SCALARS) for name in names[3:]}
    return Space(fixed=fixed, varying=varying, order=tuple(draw(st.permutations([*fixed, *varying]))))


def choices(*values: FlagValue) -> Choices:
    return Choices(values=values)


def space(fixed: Flags | None = None, **varying: FlagSpace) -> Space:
    return Space(fixed=fixed or {}, varying=varying)


def trials(
    of: Space, *, seed: int = 1, max_trials: int | None = None, explicit: Optimizer | None = None
) -> list[Flags]:
    optimizer = optimizer_for(of, explicit)
    made = list(generate(of, optimizer=optimizer, seed=seed, max_trials=max_trials))
    assert len(made) == count(of, None, optimizer=optimizer, max_trials=max_trials)
    return made


def keys(made: list[Flags]) -> list[str]:
    return list(map(trial_key, made))


def among(few: list[Flags], many: list[Flags]) -> bool:
    """Whether ``few`` stand in ``many``, in their order."""
    rest = iter(keys(many))
    return all(key in rest for key in keys(few))


def test_a_grid_counts_through_its_flags_by_name_the_last_one_fastest():
    of = Space(fixed={"z": "a"}, varying={"y": choices(2, 3), "x": choices(1.0, 2.0)}, order=("z", "y", "x"))
    made = trials(of)
    assert [(each["x"], each["y"]) for each in made] == [(1.0, 2), (1.0, 3), (2.0, 2), (2.0, 3)]
    assert [list(each) for each in made] == [["z", "y", "x"]] * 4


def test_values_stand_in_the_order_given_and_equal_ones_are_trials_of_their_own():
    assert [each["x"] for each in trials(space(x=choices(3, 1, 3)))] == [3, 1, 3]


def test_a_space_where_nothing_varies_has_one_trial():
    assert trials(space({"x": 1})) == [{"x": 1}]


def test_random_search_makes_twenty_trials_if_not_said():
    of = space(x=Uniform(low=0.0, high=1.0))
    assert optimizer_for(of, None) is Optimizer.RANDOM
    assert len(trials(of)) == 20
    assert len(trials(of, max_trials=3)) == 3


def test_a_list_makes_a_grid_and_a_random_function_random_search_unless_said():
    both = space(x=choices(1, 2), y=Uniform(low=0.0, high=1.0))
    assert optimizer_for(space(x=choices(1)), None) is Optimizer.GRID
    assert optimizer_for(space({"x": 1}), None) is Optimizer.GRID
    assert optimizer_for(both, None) is Optimizer.RANDOM
    assert optimizer_for(both, None, rows=True) is Optimizer.GRID
    assert [each["x"] for each in trials(both, explicit=Optimizer.GRID)] == [1, 2]
    assert {each["x"] for each in trials(space(x=choices(1, 2)), explicit=Optimizer.RANDOM)} == {1, 2}


def test_random_search_with_nothing_to_draw_is_refused():
    with pytest.raises(InvalidError, match="nothing to draw"):
        optimizer_for(space({"x": 1}), Optimizer.RANDOM)
    with pytest.raises(InvalidError, match="nothing to draw"):
        generate(space({"x": 1}), optimizer=Optimizer.RANDOM, seed=1, max_trials=5)
    with pytest.raises(InvalidError, match="file"):
        optimizer_for(space(x=choices(1)), Optimizer.RANDOM, rows=True)


@given(spaces(), SEEDS, st.integers(1, 30), st.sampled_from([None, Optimizer.GRID]))
def test_trials_are_among_those_of_one_more(of: Space, seed: int, wanted: int, explicit: Optimizer | None):
    few = trials(of, seed=seed, max_trials=wanted, explicit=explicit)
    assert among(few, trials(of, seed=seed, max_trials=wanted + 1, explicit=explicit))


@given(spaces(), SEEDS, st.integers(1, 30), st.sampled_from([None, Optimizer.GRID]))
def test_equal_calls_give_equal_trials(of: Space, seed: int, wanted: int, explicit: Optimizer | None):
    again = Space(fixed=dict(of.fixed), varying=dict(of.varying), order=of.order)
    one = trials(of, seed=seed, max_trials=wanted, explicit=explicit)
    assert keys(one) == keys(trials(again, seed=seed, max_trials=wanted, explicit=explicit))


@given(spaces(), SEEDS, st.integers(1, 30), st.sampled_from([None, Optimizer.GRID]), st.randoms())
def test_neither_the_order_of_flags_nor_fixed_ones_change_what_is_drawn(
    of: Space, seed: int, wanted: int, explicit: Optimizer | None, random
):
    names = list(of.varying)
    random.shuffle(names)
    other = Space(fixed={"new": 7}, varying={name: of.varying[name] for name in names}, order=("new", *names))
    one = trials(of, seed=seed, max_trials=wanted, explicit=explicit)
    two = trials(other, seed=seed, max_trials=wanted, explicit=explicit)
    assert keys([{name: each[name] for name in names} for each in one]) == keys(
        [{name: each[name] for name in names} for each in two]
    )
    assert all(each["new"] == 7 and next(iter(each)) == "new" for each in two)


@given(spaces(), SEEDS, st.sampled_from([None, Optimizer.GRID]))
def test_every_trial_has_every_flag_with_a_value_of_its_space(of: Space, seed: int, explicit: Optimizer | None):
    for each in trials(of, seed=seed, explicit=explicit):
        assert tuple(each) == of.order
        for name, value in each.items():
            varies = of.varying.get(name)
            if varies is None:
                assert value is of.fixed[name]
            elif isinstance(varies, Choices):
                assert any(value is choice for choice in varies.values)
            else:
                assert isinstance(value, int | float)
                assert varies.low <= value <= varies.high
                assert type(value) is type(varies.low)


@given(spaces(each=CHOICES), SEEDS, st.integers(1, 200))
def test_a_kept_grid_stands_in_grid_order_without_repeats(of: Space, seed: int, wanted: int):
    assert among(trials(of, seed=seed, max_trials=wanted), trials(of, seed=seed))


def kept_share(before: Space, after: Space, *, max_trials: int, explicit: Optimizer | None) -> float:
    kept = total = 0
    for seed in range(300):
        earlier = keys(trials(before, seed=seed, max_trials=max_trials, explicit=explicit))
        later = set(keys(trials(after, seed=seed, max_trials=max_trials, explicit=explicit)))
        kept += sum(key in later for key in earlier)
        total += len(earlier)
    return kept / total


@pytest.mark.parametrize("explicit", list(Optimizer))
def test_a_list_that_grows_by_one_keeps_its_share_of_trials(explicit: Optimizer):
    # In random search no two trials may be equal by chance: those would be counted as kept.
    rest: FlagSpace = Choices(values=tuple(range(20)))
    if explicit is Optimizer.RANDOM:
        rest = Uniform(low=0, high=10**9)
    for size in (2, 5, 9):
        before = space(m=Choices(values=tuple(range(size))), n=rest)
        after = space(m=Choices(values=tuple(range(size + 1))), n=rest)
        share = kept_share(before, after, max_trials=15, explicit=explicit)
        assert abs(share - size / (size + 1)) < 0.05


def test_a_list_of_a_huge_grid_that_grows_by_one_keeps_its_share_of_trials():
    rest = {name: Choices(values=tuple(range(150))) for name in ("m", "n")}
    before = space(a=Choices(values=tuple(range(100))), **rest)
    after = space(a=Choices(values=tuple(range(101))), **rest)
    made = [keys(trials(each, max_trials=300)) for each in (before, after)]
    assert 285 <= len(set(made[0]) & set(made[1])) < 300


def test_in_a_grid_a_value_is_drawn_for_the_cell_and_stays_when_others_come():
    drawn = Uniform(low=0.0, high=1.0)
    few = trials(space(x=choices(1, 2), r=drawn), explicit=Optimizer.GRID)
    many = trials(space(x=choices(0, 1, 2), r=drawn), explicit=Optimizer.GRID)
    assert among(few, many)
    assert len({str(each["r"]) for each in many}) == 3


def test_a_huge_grid_is_sampled_at_once_and_in_little_memory():
    thousand = Choices(values=tuple(range(1, 1001)))
    of = space(a=thousand, b=thousand, c=thousand)
    tracemalloc.start()
    try:
        made = trials(of, max_trials=50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(keys(made))) == 50
    assert [tuple(each.values()) for each in made] == sorted(tuple(each.values()) for each in made)
    assert peak < 2_000_000


def test_a_grid_of_a_million_is_not_held_to_be_iterated():
    thousand = Choices(values=tuple(range(1000)))
    of = space(a=thousand, b=thousand)
    tracemalloc.start()
    try:
        made = list(islice(generate(of, optimizer=Optimizer.GRID, seed=1, max_trials=None), 10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made[-1] == {"a": 0, "b": 9}
    assert peak < 2_000_000


THOUSAND = Choices(values=tuple(range(1000)))


@pytest.mark.parametrize(
    ("of", "optimizer", "max_trials", "message"),
    [
        (space(a=THOUSAND, b=THOUSAND, c=choices(1, 2)), Optimizer.GRID, None, "--max-trials N"),
        (space(a=THOUSAND, b=THOUSAND, c=choices(1, 2)), Optimizer.GRID, MAX_TRIALS + 1, "at most 1,000,000"),
        (space(a=Uniform(low=0, high=1)), Optimizer.RANDOM, MAX_TRIALS + 1, "at most 1,000,000"),
        (space(a=Uniform(low=0, high=1)), Optimizer.RANDOM, 0, "at least 1"),
        (space(a=choices(1)), Optimizer.GRID, -1, "at least 1"),
        (space(a=THOUSAND, b=THOUSAND), Optimizer.RANDOM, MAX_TRIALS, "too long"),
        (space(a=THOUSAND, b=THOUSAND, c=THOUSAND), Optimizer.GRID, MAX_TRIALS, "too long"),
    ],
)
def test_what_cannot_be_generated_is_refused_before_the_first_trial(
    of: Space, optimizer: Optimizer, max_trials: int | None, message: str
):
    with pytest.raises(InvalidError, match=message):
        count(of, None, optimizer=optimizer, max_trials=max_trials)
    with pytest.raises(InvalidError, match=message):
        generate(of, optimizer=optimizer, seed=1, max_trials=max_trials)


def test_a_small_grid_takes_any_max_trials():
    assert len(trials(space(a=choices(1, 2)), max_trials=10**9)) == 2


def row_trials(of: Space, rows: list[Row], *, seed: int = 1, max_trials: int | None = None) -> list[Flags]:
    made = list(generate(of, rows, optimizer=Optimizer.GRID, seed=seed, max_trials=max_trials))
    assert len(made) == count(of, rows, optimizer=Optimizer.GRID, max_trials=max_trials)
    return made


def test_each_row_is_laid_over_the_space_and_its_lists_are_a_grid():
    of = Space(fixed={"x": 0, "y": 0, "z": "a"}, varying={}, order=("x", "y", "z"))
    rows: list[Row] = [{"y": 1}, {}, {"w": 5, "x": choices(7, 8)}, {"y": 1}]
    assert row_trials(of, rows) == [
        {"x": 0, "y": 1, "z": "a"},
        {"x": 0, "y": 0, "z": "a"},
        {"x": 7, "y": 0, "z": "a", "w": 5},
        {"x": 8, "y": 0, "z": "a", "w": 5},
        {"x": 0, "y": 1, "z": "a"},
    ]
    assert [list(each)[:3] for each in row_trials(of, rows)] == [["x", "y", "z"]] * 5


def test_a_list_beside_the_file_is_a_grid_in_each_row_unless_the_row_sets_it():
    made = row_trials(space(x=choices(1, 2)), [{"y": 5}, {"x": 9}, {"x": choices(3)}])
    assert made == [{"x": 1, "y": 5}, {"x": 2, "y": 5}, {"x": 9}, {"x": 3}]


def test_a_random_function_beside_the_file_is_drawn_once_in_each_row():
    of = space(r=Uniform(low=0.0, high=1.0))
    few = row_trials(of, [{"y": 1}, {"y": 2}])
    many = row_trials(of, [{"y": 0}, {"y": 1}, {"y": 2}, {"y": 2}])
    assert among(few, many)
    assert len({str(each["r"]) for each in many}) == 4


@given(
    st.lists(st.dictionaries(NAMES, SCALARS | CHOICES | RANGES, max_size=3), min_size=1, max_size=6),
    SEEDS,
    st.integers(1, 12),
)
def test_kept_trials_of_a_file_are_among_those_of_one_more(rows: list[Row], seed: int, wanted: int):
    of = space({"b": 1}, a=choices(1, 2))
    few = row_trials(of, rows, seed=seed, max_trials=wanted)
    more = row_trials(of, rows, seed=seed, max_trials=wanted + 1)
    assert among(few, more)
    assert among(more, row_trials(of, rows, seed=seed))


def test_a_file_whose_lists_give_too_many_trials_is_refused():
    rows: list[Row] = [{"a": THOUSAND, "b": THOUSAND}] * 3
    with pytest.raises(InvalidError, match="--max-trials N"):
        count(space(), rows, optimizer=Optimizer.GRID, max_trials=None)
    with pytest.raises(InvalidError, match="shorter lists"):
        count(space(), rows, optimizer=Optimizer.GRID, max_trials=5)
