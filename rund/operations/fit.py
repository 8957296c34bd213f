"""Brings what a user gave to a flag's type, or says why it does not fit.

Rules (a type that the script or the project file declares binds, a literal's type only hints):

- ``float`` takes integers as floats, ``int`` integers only, ``bool`` the words of `BOOLS`;
- ``str`` takes the text as it stands, but for text in quotes, which is read, so that what rund prints reads back;
- ``null`` fits every type but ``str``, where it is a text like any other;
- a flag that takes several values takes a list, and a single value as a list of one.
"""

from __future__ import annotations

import re
from typing import Final

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType, Passing
from rund.model.values import FlagValue, ValueSyntaxError, format_value, read_float, read_value, value_key
from rund.operations.argument_text import listed_text, looks_like_option

BOOLS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

UNCLOSED: Final = re.compile(r"\s*(range|linspace|logspace|geomspace|uniform|loguniform)\[[^\]]*", re.DOTALL)
FUNCTION: Final = re.compile(r"\s*(range|linspace|logspace|geomspace|uniform|loguniform)\[(.*)\]\s*", re.DOTALL)
MOST_COUNTED: Final = 100  # times that a counted option is given
_EXPECTED: Final = {
    FlagType.INT: "an integer",
    FlagType.FLOAT: "a number",
    FlagType.STR: "a string",
    FlagType.BOOL: "true or false",
}


class BatchValueError(InvalidError):
    """A list, a function or a file of values where there is one run: only a batch takes it."""


def takes_list(flag: FlagDef) -> bool:
    """Whether the flag's value is a list."""
    return flag.passing is Passing.REPEATED or flag.nargs not in (None, "?")


def read_text(flag: FlagDef, text: str) -> FlagValue:
    """The value that ``text`` stands for when given to ``flag``.

    Raises `BatchValueError` for what makes a batch, `InvalidError` for what does not fit.
    """
    if FUNCTION.fullmatch(text):
        raise BatchValueError(f"{flag.name}: {text.strip()} gives several values or a random one", field=flag.name)
    if "\0" in text:
        raise InvalidError(f"{flag.name}: a value cannot hold a null character", field=flag.name)
    try:
        value = read_value(text) if text.lstrip()[:1] == "[" else _read_word(flag, text)
    except ValueSyntaxError as error:
        raise InvalidError(f"{flag.name}: {error}", field=flag.name) from None
    if isinstance(value, list) and takes_list(flag):
        value = [_item_from_text(flag, item) for item in value]
    return fit_value(flag, value)


def fit_value(flag: FlagDef, value: FlagValue) -> FlagValue:
    """``value`` as the flag takes it.

    Raises `BatchValueError` for a list to a flag that takes one value, `InvalidError` for what does not fit.
    """
    if value is None:
        return None
    if takes_list(flag):
        items: list[FlagValue] = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, list) for item in items):
            raise _batch(flag, value)
        _check_number(flag, items)
        fitted = [fit_item(flag, item) for item in items]
        _check_passable(flag, fitted)
        return fitted
    if isinstance(value, list):
        if not value:
            raise InvalidError(f"{flag.name}: the list is empty: give at least one value", field=flag.name)
        raise _batch(flag, value)
    return fit_item(flag, value)


def _batch(flag: FlagDef, value: FlagValue) -> BatchValueError:
    return BatchValueError(f"{flag.name}: {format_value(value)} is a list of values", field=flag.name)


def _read_word(flag: FlagDef, text: str) -> FlagValue:
    word = text.strip()
    match flag.type:
        case FlagType.STR:
            return _unquoted(text)
        case FlagType.BOOL if word.lower() in BOOLS:
            return BOOLS[word.lower()]
        case FlagType.FLOAT if (number := read_float(word)) is not None:
            return number
        case _:
            return read_value(text)


def _unquoted(text: str) -> str:
    if text.strip()[:1] in ('"', "'"):
        try:
            value = read_value(text)
        except ValueSyntaxError:
            return text
        if isinstance(value, str):
            return value
    return text


def _item_from_text(flag: FlagDef, item: FlagValue) -> FlagValue:
    """An item of a list, which was read without regard to the flag's type."""
    if flag.type is FlagType.STR and not isinstance(item, list | str):
        return format_value(item)
    if flag.type is FlagType.BOOL and isinstance(item, str):
        return BOOLS.get(item.lower(), item)
    return item


def fit_choice(flag: FlagDef, value: FlagValue) -> FlagValue:
    """A value of a list of values as the flag takes it; a list is a value, unless the flag's type is declared.

    Raises `InvalidError` for what does not fit.
    """
    if isinstance(value, list) and not takes_list(flag) and flag.choices is None and not flag.declared:
        return value
    return fit_value(flag, value) if value is None or takes_list(flag) else fit_item(flag, value)


def fit_item(flag: FlagDef, value: FlagValue) -> FlagValue:
    """A single value as the flag takes it.  Raises `InvalidError` for what does not fit."""
    if flag.type is FlagType.FLOAT and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, list) or (flag.declared and flag.type is not None and not _is_of(flag.type, value)):
        expected = "a single value" if flag.type is None else _EXPECTED[flag.type]
        raise InvalidError(f"{flag.name}: expected {expected}, got {format_value(value)}", field=flag.name)
    if value == "--" and flag.passing in (Passing.OPTION, Passing.REPEATED, Passing.POSITIONAL):
        # Every argparse before Python 3.13 drops it, wherever it stands.
        raise InvalidError(f"{flag.name}: the value '--' would be taken for the end of the options", field=flag.name)
    if flag.choices is not None:
        _check_choice(flag, value)
    if flag.passing is Passing.COUNTED:
        _check_count(flag, value)
    return value


def _is_of(kind: FlagType, value: FlagValue) -> bool:
    match kind:
        case FlagType.INT:
            return isinstance(value, int) and not isinstance(value, bool)
        case FlagType.FLOAT:
            return isinstance(value, float)
        case FlagType.STR:
            return isinstance(value, str)
        case FlagType.BOOL:
            return isinstance(value, bool)


def _check_choice(flag: FlagDef, value: FlagValue) -> None:
    choices = flag.choices or ()
    if value_key(value) not in map(value_key, choices):
        known = ", ".join(format_value(choice) for choice in choices)
        raise InvalidError(f"{flag.name}: {format_value(value)} is not one of {known}", field=flag.name)


def _check_count(flag: FlagDef, value: FlagValue) -> None:
    least = flag.default if isinstance(flag.default, int) else 0
    if isinstance(value, int) and not least <= value <= least + MOST_COUNTED:
        most = least + MOST_COUNTED
        raise InvalidError(f"{flag.name}: expected a count from {least} to {most}, got {value}", field=flag.name)


def _check_number(flag: FlagDef, items: list[FlagValue]) -> None:
    if isinstance(flag.nargs, int) and len(items) != flag.nargs:
        many = "1 value" if flag.nargs == 1 else f"{flag.nargs} values"
        raise InvalidError(f"{flag.name}: expected a list of {many}, got {len(items)}", field=flag.name)
    if flag.nargs == "+" and not items:
        raise InvalidError(f"{flag.name}: the list is empty: give at least one value", field=flag.name)


def _check_passable(flag: FlagDef, items: list[FlagValue]) -> None:
    """Several values after one option must not look like options: nothing tells them apart."""
    if flag.passing is not Passing.OPTION or len(items) < 2:
        return
    for item in items:
        if looks_like_option(listed_text(flag, item)):
            text = format_value(item)
            raise InvalidError(f"{flag.name}: {text} in a list would be taken for an option", field=flag.name)
