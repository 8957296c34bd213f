"""How a value is written as an argument or in the environment of a process."""

from __future__ import annotations

import re
from decimal import Decimal

from rund.model.operation import FlagDef, FlagType
from rund.model.values import FlagValue, format_value

# What every argparse takes for a number and so never for an option, from Python 3.8 on: no exponent, no "inf".
_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
# A null character, and surrogates other than those that stand for bytes.
_UNENCODABLE = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")


def argument_text(flag: FlagDef, value: FlagValue) -> str:
    """``value`` as an argument that argparse reads back, by the flag's type, as the same value.

    ``type=bool`` takes any text but the empty one for true.
    """
    if isinstance(value, bool):
        if flag.type is FlagType.BOOL and flag.declared:
            return "True" if value else ""
        return "true" if value else "false"
    return value if isinstance(value, str) else format_value(value)


def listed_text(flag: FlagDef, value: FlagValue) -> str:
    """``value`` as one of several arguments after an option: negative numbers without an exponent."""
    text = argument_text(flag, value)
    if isinstance(value, float) and text.startswith("-") and "e" in text:
        digits = format(Decimal(text), "f")
        return digits if "." in digits else digits + ".0"
    return text


def looks_like_option(text: str) -> bool:
    """Whether argparse might take the argument for an option."""
    return text.startswith("-") and text != "-" and _NEGATIVE_NUMBER.fullmatch(text) is None


def environment_text(value: FlagValue) -> str:
    """``value`` in an environment variable: a string as it stands, null as the empty text."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else format_value(value)
    return _UNENCODABLE.sub("?", text)


def environment_name(name: str) -> str:
    """``FLAG_BATCH_SIZE`` for ``batch-size``."""
    return "FLAG_" + "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.upper())
