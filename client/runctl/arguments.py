"""The command line's arguments, read by one small table per command.

Rules:

- Options stand anywhere, as ``--name value``, ``--name=value``, ``-n value`` or ``-nvalue``.
- After ``--`` all are words.
- Options are never abbreviated or clustered; a lone ``-`` is a word.
- Where a command is ``loose``, an unknown word with a single dash is a word (``tag RUN -old``).

argparse would cost more than all else that ``runctl list`` does.
"""

from __future__ import annotations

from runctl.failures import UsageError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Value = bool | int | float | str | list[str]

TEXT = "text"
WHOLE = "whole number"
SECONDS = "number of seconds"
BOUND = "whole number or all"


# What the wire calls the words of commands.
_WORDS = {"run": "RUN", "runs": "RUN", "operation": "OPERATION", "add_tags": "TAG", "remove_tags": "TAG"}


class Option:
    """One option: its names (the long one last), what its value is called (None: it has none), what it means.

    ``param`` is what the wire calls it (None: as its long name).
    """

    __slots__ = ("kind", "many", "meaning", "names", "param", "value")

    def __init__(
        self,
        *names: str,
        meaning: str,
        value: str | None = None,
        kind: str = TEXT,
        many: bool = False,
        param: str | None = None,
    ) -> None:
        self.param = param
        self.names = names
        self.meaning = meaning
        self.value = value
        self.kind = kind
        self.many = many

    @property
    def key(self) -> str:
        """The name that a command asks for it by: the long one without dashes."""
        return self.names[-1].lstrip("-")


class Command:
    """One command: what it takes, what it does, and the function that does it."""

    __slots__ = ("action", "example", "least", "loose", "more", "most", "name", "options", "summary", "words")

    def __init__(
        self,
        name: str,
        words: str,
        summary: str,
        *,
        action: Callable[[Arguments], int],
        example: str,
        options: tuple[Option, ...] = (),
        least: int = 0,
        most: int | None = None,
        more: str = "",
        loose: bool = False,
    ) -> None:
        self.name = name
        self.words = words
        self.summary = summary
        self.action = action
        self.example = example
        self.options = options
        self.least = least
        self.most = most
        self.more = more
        self.loose = loose


JSON = Option("--json", meaning="print the daemon's answer as one JSON object")
NO_START = Option("--no-start", meaning="do not start a daemon if none answers (as RUNCTL_NO_START=1)")
HELP = Option("-h", "--help", meaning="print this and exit")
COMMON = (JSON, NO_START, HELP)


class Arguments:
    """What was given: the words in order, and the options by their long names."""

    __slots__ = ("_values", "words")

    def __init__(self, words: list[str], values: dict[str, Value]) -> None:
        self.words = words
        self._values = values

    def in_words_typed(self, command: Command, message: str) -> str:
        """A message of the daemon with the option that was typed, where it begins with what the wire calls it."""
        wire, colon, rest = message.partition(": ")
        name = wire.partition("[")[0]
        if not colon or any(word.startswith((f"{name}=", f"{name.replace('_', '-')}=")) for word in self.words):
            return message  # of a flag of the operation, for all that can be told
        if _WORDS.get(name, "-") in command.words:
            return f"{_WORDS[name]}: {rest}"
        for option in command.options:
            if option.key in self._values and name == (option.param or option.key.replace("-", "_")):
                return f"{option.names[-1]}: {rest}"
        return message

    def flag(self, key: str) -> bool:
        """Whether the option without value was given."""
        return key in self._values

    def text(self, key: str) -> str | None:
        """The option's text, or None."""
        value = self._values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """The option's whole number, or None."""
        value = self._values.get(key)
        return value if isinstance(value, int) else None

    def bound(self, key: str) -> int | str | None:
        """The option's whole number, or ``all``, or None."""
        value = self._values.get(key)
        return value if isinstance(value, int | str) else None

    def seconds(self, key: str) -> float | None:
        """The option's number of seconds, or None."""
        value = self._values.get(key)
        return value if isinstance(value, float) else None

    def many(self, key: str) -> list[str]:
        """All values of an option that may be given several times."""
        value = self._values.get(key)
        return value if isinstance(value, list) else []


def read_arguments(command: Command, given: Sequence[str]) -> Arguments:
    """What ``given`` says to ``command``; raises `UsageError` where it says nothing that can be understood.

    With ``--help`` the rest is not checked.
    """
    options = {name: option for option in (*command.options, *COMMON) for name in option.names}
    words: list[str] = []
    values: dict[str, Value] = {}
    rest = iter(given)
    for word in rest:
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, text = _split(word)
        option = options.get(name)
        if option is not None:
            _take(option, name, text, rest, values)
        elif command.loose and not word.startswith("--"):
            words.append(word)
        else:
            raise _unknown(command, name, text)
    if "help" not in values:
        _check_count(command, words)
    return Arguments(words, values)


def _split(word: str) -> tuple[str, str | None]:
    """The option's name and the value that is joined to it, if any."""
    if word.startswith("--"):
        name, equals, text = word.partition("=")
        return name, text if equals else None
    return word[:2], word[2:] or None


def _take(option: Option, name: str, text: str | None, rest: Iterable[str], values: dict[str, Value]) -> None:
    """Put one option's value among ``values``, from its own word or from the next."""
    if option.value is None:
        if text is not None:
            raise UsageError(f"{name} takes no value, so {text!r} cannot follow it")
        values[option.key] = True
        return
    if text is None:
        text = next(iter(rest), None)
    if text is None:
        raise UsageError(f"{name} needs a value: {name} {option.value}")
    if option.many:
        values[option.key] = [*_listed(values.get(option.key)), text]
        return
    if option.kind in (WHOLE, BOUND) and len(text) > _MOST_DIGITS and text.lstrip("+-").isdecimal():
        raise UsageError(f"{name} takes a {option.kind} of {_MOST_DIGITS} digits at most")  # as a message can carry
    try:
        values[option.key] = _READERS[option.kind](text)
    except ValueError:
        raise UsageError(f"{name} takes a {option.kind}, not {text!r}") from None


_MOST_DIGITS = 18


def _bound(text: str) -> int | str:
    return text if text == "all" else int(text)


_READERS: dict[str, Callable[[str], Value]] = {TEXT: str, WHOLE: int, SECONDS: float, BOUND: _bound}


def _listed(value: Value | None) -> list[str]:
    return value if isinstance(value, list) else []


def _check_count(command: Command, words: list[str]) -> None:
    usage = f"use: runctl {command.name} {command.words}".rstrip()
    if len(words) < command.least:
        raise UsageError(f"{command.name} needs more than was given; {usage}")
    if command.most is not None and len(words) > command.most:
        raise UsageError(f"{command.name} does not take {words[command.most]!r}; {usage}")


def _unknown(command: Command, name: str, text: str | None) -> UsageError:
    """The error of an unknown option, with what was probably meant."""
    if "NAME=VALUE" in command.words and name.startswith("--"):
        flag = f"{name[2:]}={'VALUE' if text is None else text}"
        hint = f"; a flag of the operation is given as {flag}"
    else:
        hint = ""
    return UsageError(f"{command.name} has no option {name}{hint}; see runctl {command.name} --help")
