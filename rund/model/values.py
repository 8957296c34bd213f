"""Flag values: their text, read and written, and their exact equality.

A value is ``None``, a bool, an int, a float, a str, or a list of values.  Values are typed and exact: ``1``,
``1.0``, ``True`` and ``"1"`` are four values, ``0.0`` and ``-0.0`` two, and NaN equals NaN.

Imports nothing, for the command line loads it at its start.
"""

from __future__ import annotations

FlagValue = None | bool | int | float | str | list["FlagValue"]
Flags = dict[str, FlagValue]

_QUOTES = "\"'"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_WORDS: dict[str, FlagValue] = {"null": None, "true": True, "false": False}
_DIGITS = frozenset("0123456789")
_FLOATS = frozenset("0123456789+-.eE")
_SPECIAL_FLOATS = frozenset(
    sign + word for sign in ("", "+", "-") for word in ("inf", "nan", "infinity", ".inf", ".nan")
)
MIN_INTEGER = -(2**63)  # what MessagePack can carry
MAX_INTEGER = 2**64 - 1
MAX_DEPTH = 20


_DEEPEST = 100  # lists in each other, of what is kept: more than any way to give a value lets pass
_PLAIN = frozenset({type(None), bool, float})  # types, the values of which need no further look


class ValueSyntaxError(ValueError):
    """Text that begins like a list or a quoted string and is not one."""


def read_value(text: str) -> FlagValue:
    """The value that ``text`` stands for on the command line.

    ``null``, ``true``, ``false``, integers, floats (``1e-3``, ``.5``, ``inf``, ``nan``), quoted strings and
    lists ``[a, b, c]``; everything else is a string as it stands.  Raises `ValueSyntaxError` for a list or a
    quoted string that does not end, or that has something after its end.
    """
    stripped = text.strip()
    if stripped[:1] == "[" or (stripped[:1] in _QUOTES and stripped):
        value, end = _read_nested(stripped, 0, 0)
        if end != len(stripped):
            raise ValueSyntaxError(f"{stripped[end:]!r} stands after the end of {stripped[:end]!r}")
        return value
    return read_scalar(stripped, text)


def split_list(text: str) -> list[str]:
    """The texts of the values of a list, which `read_value` reads as one.  Raises `ValueSyntaxError` if it is none."""
    stripped = text.strip()
    if stripped[:1] != "[":
        raise ValueSyntaxError(f"{text!r} is not a list")
    texts: list[str] = []
    _, end = _read_list(stripped, 0, 0, texts)
    if end != len(stripped):
        raise ValueSyntaxError(f"{stripped[end:]!r} stands after the end of {stripped[:end]!r}")
    return texts


def read_scalar(text: str, otherwise: str) -> FlagValue:
    """The value of a word that is neither a list nor quoted; ``otherwise`` if it is just a string."""
    if text in _WORDS:
        return _WORDS[text]
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits and _DIGITS.issuperset(digits):
        if len(digits.lstrip("0")) > 20 or not MIN_INTEGER <= int(text) <= MAX_INTEGER:
            raise ValueSyntaxError(f"the integer {text} does not fit in 64 bits")
        return int(text)
    number = read_float(text)
    return otherwise if number is None else number


def read_float(text: str) -> float | None:
    """The float that ``text`` spells in digits, or as ``inf`` or ``nan``; None if it spells none."""
    lowered = text.lower()
    if lowered in _SPECIAL_FLOATS:
        return float(lowered.replace(".", ""))
    if not _FLOATS.issuperset(text) or _DIGITS.isdisjoint(text):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _read_nested(text: str, start: int, depth: int) -> tuple[FlagValue, int]:
    """The list, quoted string or word of ``text`` at ``start``, and where it ends."""
    if depth > MAX_DEPTH:
        raise ValueSyntaxError(f"lists are nested more than {MAX_DEPTH} deep")
    if text[start] == "[":
        return _read_list(text, start, depth)
    if text[start] in _QUOTES:
        return _read_quoted(text, start)
    end = start
    inner = 0
    # A word may hold brackets of its own (``range[1:3]``), and commas inside them.
    while end < len(text) and (inner or text[end] not in ",]"):
        inner += {"[": 1, "]": -1}.get(text[end], 0)
        end += 1
    word = text[start:end].rstrip()
    if not word:
        raise ValueSyntaxError(f"a value is missing in {text!r}")
    return read_scalar(word, word), end


def _read_list(text: str, start: int, depth: int, texts: list[str] | None = None) -> tuple[list[FlagValue], int]:
    values: list[FlagValue] = []
    at = _skip_spaces(text, start + 1)
    if text[at : at + 1] == "]":
        return values, at + 1
    while at < len(text):
        begin = at
        value, at = _read_nested(text, at, depth + 1)
        values.append(value)
        if texts is not None:
            texts.append(text[begin:at].rstrip())
        at = _skip_spaces(text, at)
        if text[at : at + 1] == "]":
            return values, at + 1
        if text[at : at + 1] != ",":
            break
        at = _skip_spaces(text, at + 1)
    raise ValueSyntaxError(f"the list {text[start:]!r} does not end: a ']' is missing")


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    parts: list[str] = []
    at = start + 1
    while at < len(text):
        letter = text[at]
        if letter == quote:
            return "".join(parts), at + 1
        if letter == "\\" and at + 1 < len(text):
            at += 1
            parts.append(_ESCAPES.get(text[at], "\\" + text[at]))
        else:
            parts.append(letter)
        at += 1
    raise ValueSyntaxError(f"the string {text[start:]!r} does not end: a {quote} is missing")


def _skip_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def format_value(value: FlagValue, *, nested: bool = False) -> str:
    """The shortest text that `read_value` reads back as ``value``; ``nested`` if it stands inside a list."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return value if _reads_back(value, nested=nested) else _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(format_value(item, nested=True) for item in value) + "]"
    return repr(value)


def _reads_back(text: str, *, nested: bool) -> bool:
    if not text or text != text.strip() or text[0] in _QUOTES or "[" in text or not text.isprintable():
        return False
    if nested and ("," in text or "]" in text):
        return False
    try:
        return read_scalar(text, text) is text
    except ValueSyntaxError:
        return False


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def format_flags(flags: Flags, separator: str = ", ") -> str:
    """``x=1.0, y=2, z=a``: the flags in their order, with the shortest text of each value."""
    return separator.join(f"{name}={format_value(value)}" for name, value in flags.items())


def format_batch_flags(flags: Flags) -> str:
    """As `format_flags`, of a batch: there text in brackets is a function, and stands as it was given."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) and value.endswith(']') else format_value(value)}"
        for name, value in flags.items()
    )


def value_key(value: FlagValue) -> str:
    """Text that is equal for two values just when they are the same value, type and all."""
    if isinstance(value, list):
        return "l" + "".join(f"{len(key)}:{key}" for key in map(value_key, value)) + "."
    if isinstance(value, str):
        return "s" + value
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, int):
        return f"i{value}"
    return "fnan" if value != value else f"f{value!r}"


def trial_key(flags: Flags) -> str:
    """Text that is equal for two maps of flags just when their names and typed values are the same."""
    parts = ((name, value_key(flags[name])) for name in sorted(flags))
    return "".join(f"{len(name)}:{name}{len(key)}:{key}" for name, key in parts)


def check_text(text: object, *, escaped: bool = False) -> None:
    """Raise `TypeError` if ``text`` is no text, `ValueError` if it holds half a character.

    ``escaped``: some of those stand for bytes that are not UTF-8, as in paths.
    """
    if not isinstance(text, str):
        raise TypeError("this is no text")
    if not text.isascii():
        text.encode("utf-8", "surrogateescape" if escaped else "strict")


def check_value(value: object, depth: int = 0) -> None:
    """Raise `ValueError` or `TypeError` if ``value`` is no flag value."""
    kind = type(value)
    if kind is str:
        check_text(value)
    elif isinstance(value, list) and depth <= _DEEPEST:
        for item in value:
            check_value(item, depth + 1)
    elif kind not in _PLAIN and not (isinstance(value, int) and MIN_INTEGER <= value <= MAX_INTEGER):
        raise ValueError("this is no value of a flag")


def check_flags(flags: object) -> None:
    """Raise `ValueError` or `TypeError` if ``flags`` are no flags: values by their names."""
    if not isinstance(flags, dict):
        raise TypeError("these are no flags")
    for name, value in flags.items():
        check_text(name)
        check_value(value)
