"""The command line's arguments: what is an option, what is a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.arguments import SECONDS, WHOLE, Arguments, Command, Option, read_arguments
from runctl.commands.marks import read_marks
from runctl.dispatch import ALIASES, COMMANDS, find_command
from runctl.failures import UsageError
from runctl.help import render

TRY = Command(
    "try",
    "OPERATION [NAME=VALUE...]",
    "Try.",
    action=lambda _: 0,
    least=1,
    example="runctl try x.py",
    options=(
        Option("-d", "--detach", meaning="detach"),
        Option("-n", value="N", kind=WHOLE, meaning="count"),
        Option("--label", value="TEXT", meaning="label"),
        Option("--tag", value="TAG", many=True, meaning="tag"),
        Option("--timeout", value="S", kind=SECONDS, meaning="seconds"),
    ),
)


def read(*words: str) -> Arguments:
    return read_arguments(TRY, words)


def test_options_stand_anywhere_among_the_words() -> None:
    arguments = read("--label", "a b", "x.py", "-d", "lr=-1", "--tag=p", "-n3", "--tag", "q", "--timeout=1.5")
    assert arguments.words == ["x.py", "lr=-1"]
    assert arguments.flag("detach")
    assert arguments.text("label") == "a b"
    assert arguments.many("tag") == ["p", "q"]
    assert arguments.number("n") == 3
    assert arguments.seconds("timeout") == 1.5


def test_what_is_not_given_is_none() -> None:
    arguments = read("x.py")
    assert not arguments.flag("detach")
    assert (arguments.text("label"), arguments.number("n"), arguments.many("tag")) == (None, None, [])


@given(st.lists(st.text(min_size=1), min_size=1))
def test_all_that_follows_two_dashes_is_words_as_it_stands(words: list[str]) -> None:
    assert read("-d", "--", *words).words == words


@given(st.lists(st.from_regex(r"[a-z]\w*=.*", fullmatch=True), min_size=1))
def test_flags_pass_untouched_and_in_order(words: list[str]) -> None:
    assert read(*words).words == words


@pytest.mark.parametrize("value", ["-5", "--detach", "a=b", ""])
def test_the_word_after_an_option_is_its_value_whatever_it_is(value: str) -> None:
    assert read("x.py", "--label", value).text("label") == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "use: runctl try OPERATION"),
        (("x.py", "--label"), "--label needs a value: --label TEXT"),
        (("x.py", "-n", "many"), "-n takes a whole number, not 'many'"),
        (("x.py", "-n", "9" * 23), "-n takes a whole number of 18 digits at most"),
        (("x.py", "-n", "-" + "9" * 5000), "-n takes a whole number of 18 digits at most"),
        (("x.py", "--timeout", "soon"), "--timeout takes a number of seconds, not 'soon'"),
        (("x.py", "--detach=yes"), "--detach takes no value"),
        (("x.py", "--epochs=3"), "a flag of the operation is given as epochs=3"),
        (("x.py", "-x"), "try has no option -x"),
    ],
)
def test_what_cannot_be_understood_says_what_to_do(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(*words)


def test_help_needs_nothing_else() -> None:
    assert read("--help").flag("help")


def test_tags_are_added_and_taken_away_by_their_sign() -> None:
    arguments = read_arguments(find_command("tag"), ["1f2e", "a", "+b", "-c"])
    assert read_marks(arguments.words[1:]) == (["a", "b"], ["c"])
    with pytest.raises(UsageError, match="a tag is missing"):
        read_marks(["+"])


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", [40, 80])
def test_every_command_has_help_with_an_example_that_fits(name: str, columns: int) -> None:
    text = render(find_command(name), columns)
    example = text.split("Example: ")[1]
    assert all(len(line) <= columns for line in text.splitlines() if not line.startswith(f"runctl {name}"))
    words = " ".join(example.split()).removeprefix("runctl ").split()
    assert words.pop(0) == name
    read_arguments(find_command(name), [word.strip("'") for word in words if word != "start'"])


def test_every_command_is_in_its_table_under_its_own_name() -> None:
    assert all(find_command(name).name == name for name in COMMANDS)
    assert all(find_command(alias).name == name for alias, name in ALIASES.items())


def test_an_unknown_command_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean list"):
        find_command("lits")


@pytest.mark.parametrize(
    ("command", "words", "message", "shown"),
    [
        ("list", ["-n", "0"], "limit: expected `int` >= 1", "-n: expected `int` >= 1"),
        ("list", ["--op", "x"], "operation: too long", "--op: too long"),
        ("run", ["t.py", "--max-trials", "0"], "max_trials: 0 are none", "--max-trials: 0 are none"),
        ("run", ["t.py", "--tag", "a"], "tags[0]: too long", "--tag: too long"),
        ("run", ["t.py", "jobs=0", "--jobs", "0"], "jobs: is it the flag?", "jobs: is it the flag?"),
        ("run", ["t.py", "x=0"], "x: no number", "x: no number"),
        ("run", ["t.py"], "jobs: not given", "jobs: not given"),
        ("show", ["f"], "run: too long", "RUN: too long"),
        ("tag", ["f", "t"], "add_tags[0]: too long", "TAG: too long"),
        ("run", ["t.py"], "no colon", "no colon"),
    ],
)
def test_a_message_of_the_daemon_names_what_was_typed(command: str, words: list[str], message: str, shown: str) -> None:
    found = find_command(command)
    assert read_arguments(found, words).in_words_typed(found, message) == shown
