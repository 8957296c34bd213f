"""The same seed gives the same trials on every machine, Python version and later release."""

from __future__ import annotations

import decimal

import pytest

from rund.model.values import trial_key
from tests.unit.expected_trials.cases import FOLDER, case_text, read_case, trials_of

CASES = sorted(path.stem for path in FOLDER.glob("*.json"))


def test_there_are_cases():
    assert len(CASES) >= 12


@pytest.mark.parametrize("name", CASES)
def test_trials_are_those_that_were_always_generated(name: str):
    case = read_case(name)
    trials = trials_of(case)
    assert list(map(trial_key, trials)) == list(map(trial_key, case["trials"]))
    assert list(map(list, trials)) == list(map(list, case["trials"]))


@pytest.mark.parametrize("name", ["random", "grid_random_functions", "functions"])
def test_trials_do_not_depend_on_the_decimal_context_of_the_thread(name: str):
    case = read_case(name)
    with decimal.localcontext() as context:
        context.prec = 3
        context.rounding = decimal.ROUND_UP
        context.Emax, context.Emin = 5, -5
        context.traps[decimal.FloatOperation] = True
        trials = trials_of(case)
    assert list(map(trial_key, trials)) == list(map(trial_key, case["trials"]))


def test_the_script_prints_what_the_file_holds():
    assert case_text(read_case("random")) + "\n" == (FOLDER / "random.json").read_text("utf-8")
