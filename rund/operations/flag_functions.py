"""Reads what makes a batch: lists of values, and functions that give a list or a random value.

Rules:

- The flag's type applies to every value and bound, as to a value given alone.
- ``[LOW:HIGH]`` is ``uniform[LOW:HIGH]`` where all in the brackets is numbers; ``[host:80]`` is a list of a string.
- A flag that takes several values takes a plain list as one value, and a list of lists as a list of values.
- Other flags take a list of lists as a list of values too, each of them a list, unless their type is declared.
- A list has at most `MAX_VALUES` values, and all lists together `MAX_TOGETHER`; a function does not stand inside one.
"""

from __future__ import annotations

from typing import Final

from rund.errors import InvalidError
from rund.model.operation import FlagDef, FlagType
from rund.model.space import Choices, FlagSpace, LogUniform, Uniform
from rund.model.values import FlagValue, ValueSyntaxError, format_value, read_value, split_list
from rund.operations.fit import FUNCTION, UNCLOSED, fit_choice, read_text, takes_list
from rund.operations.series import MAX_VALUES, TOO_MANY, FunctionError, bounds, is_number, series, split_parts

RANDOM: Final = frozenset({"uniform", "loguniform"})


def read_space(flag: FlagDef, text: str, most: int = MAX_VALUES) -> FlagValue | FlagSpace:
    """The value, list or function that ``text`` stands for when given to ``flag``; ``most`` values may be in a list.

    Raises `InvalidError`, naming the flag and the reason, before a list that is too long is made.
    """
    shown = text.strip()
    function = FUNCTION.fullmatch(text)
    if function is not None:
        return _function(flag, shown, function[1], function[2], most)
    if UNCLOSED.fullmatch(text):
        raise _wrong(flag, shown, "a ] is missing at its end")
    if shown[:1] != "[":
        return read_text(flag, text)
    if "\0" in text:
        raise InvalidError(f"{flag.name}: a value cannot hold a null character", field=flag.name)
    if _is_bounds(shown):
        return _function(flag, shown, "uniform", shown[1:-1], most)
    try:
        items = split_list(shown)
    except ValueSyntaxError as error:
        raise InvalidError(f"{flag.name}: {error}", field=flag.name) from None
    for item in items:
        if FUNCTION.fullmatch(item) or _is_bounds(item):
            raise _wrong(flag, shown, f"the function {item} stands inside a list: give it alone")
    if takes_list(flag) and not (items and all(item[:1] == "[" for item in items)):
        return read_text(flag, text)
    _check_list(flag, shown, len(items), most)
    return Choices(values=tuple(_item(flag, item) for item in items), text=shown)


def read_list(flag: FlagDef, value: FlagValue, most: int = MAX_VALUES) -> FlagValue | FlagSpace:
    """What a typed value stands for: a list is a list of values, at most ``most``, a string always a string.

    Raises `InvalidError`, naming the flag.
    """
    if not isinstance(value, list):
        return fit_choice(flag, value)
    if takes_list(flag) and not (value and all(isinstance(item, list) for item in value)):
        return fit_choice(flag, value)
    _check_list(flag, None, len(value), most)
    return Choices(values=tuple(fit_choice(flag, item) for item in value))


def fit_space(flag: FlagDef, value: FlagValue | FlagSpace) -> FlagValue | FlagSpace:
    """What was read for a flag of another type, as ``flag`` takes it.  Raises `InvalidError`, naming the flag."""
    match value:
        case Choices():
            return Choices(values=tuple(fit_choice(flag, item) for item in value.values), text=value.text)
        case Uniform() | LogUniform():
            return _fit_bounds(flag, value)
        case _:
            return fit_choice(flag, value)


def _check_list(flag: FlagDef, text: str | None, count: int, most: int) -> None:
    if not count:
        raise InvalidError(f"{flag.name}: the list is empty: give at least one value", field=flag.name)
    if count > MAX_VALUES:
        reason = f"the list has {count:,} values, and at most {MAX_VALUES:,} can be given"
    elif count > most:
        reason = TOO_MANY
    else:
        return
    raise InvalidError(f"{flag.name}: {reason}", field=flag.name) if text is None else _wrong(flag, text, reason)


def _item(flag: FlagDef, text: str) -> FlagValue:
    if text[:1] != "[" or takes_list(flag):
        return read_text(flag, text)
    return fit_choice(flag, read_value(text))


def _is_bounds(text: str) -> bool:
    """Whether the text is numbers in brackets, parted by colons; one of them may be missing."""
    if text[:1] != "[" or text[-1:] != "]" or ":" not in text:
        return False
    parts = [part.strip() for part in text[1:-1].split(":")]
    return any(parts) and all(not part or is_number(part) for part in parts)


def _function(flag: FlagDef, text: str, name: str, inside: str, most: int) -> FlagValue | FlagSpace:
    try:
        parts = split_parts(name, inside)
        if name not in RANDOM:
            return _series(flag, text, series(name, parts, most))
        low, high = bounds(name, parts, floats=flag.type is FlagType.FLOAT)
    except FunctionError as error:
        raise _wrong(flag, text, str(error)) from None
    kind = Uniform if name == "uniform" else LogUniform
    return _fit_bounds(flag, kind(low=low, high=high, text=text))


def _series(flag: FlagDef, text: str, values: list[int] | list[float]) -> Choices:
    if flag.type is FlagType.STR:
        return Choices(values=tuple(fit_choice(flag, format_value(value)) for value in values), text=text)
    try:
        return Choices(values=tuple(fit_choice(flag, value) for value in values), text=text)
    except InvalidError as error:
        raise _wrong(flag, text, error.message.removeprefix(f"{flag.name}: ")) from None


def _fit_bounds(flag: FlagDef, space: Uniform | LogUniform) -> Uniform | LogUniform:
    text = space.text or f"[{format_value(space.low)}:{format_value(space.high)}]"
    if flag.type is FlagType.STR:
        raise _wrong(flag, text, f'it draws numbers, and the flag is a string: quote it, "{text}", to mean the text')
    if takes_list(flag):
        raise _wrong(flag, text, "it draws single numbers, and the flag takes a list: give a list of lists")
    if flag.choices is not None:
        known = ", ".join(map(format_value, flag.choices))
        raise _wrong(flag, text, f"it draws numbers that are not among the flag's choices {known}: give a list of them")
    try:
        low, high = fit_choice(flag, space.low), fit_choice(flag, space.high)
    except InvalidError as error:
        raise _wrong(flag, text, error.message.removeprefix(f"{flag.name}: ")) from None
    assert isinstance(low, int | float)  # noqa: S101 - only an int becomes anything else: a float
    assert isinstance(high, int | float)  # noqa: S101 - as above
    return type(space)(low=low, high=high, text=space.text)


def _wrong(flag: FlagDef, text: str, reason: str) -> InvalidError:
    shown = text if len(text) <= 200 else text[:200] + "..."
    return InvalidError(f"{flag.name}={shown}: {reason}", field=flag.name)
