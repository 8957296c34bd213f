"""The errors that users see: a code of the wire, a message that says what is wrong and what to do.

No other module of rund is imported here, nor anything slow: the command line loads this at its start.
"""

from __future__ import annotations

_LONGEST = 1000  # characters of a message: it may name what a user gave, which may be megabytes


class RundError(Exception):
    """An answer other than success; ``code`` is one of the wire's codes, ``field`` the param or flag at fault.

    A message that is too long for a person loses its middle.
    """

    code = "internal"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        message = _cut(message)
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidError(RundError):
    """The request cannot be carried out as it stands."""

    code = "invalid"


class NotFoundError(RundError):
    """No run, attempt or file answers to the name given."""

    code = "not-found"


class AmbiguousError(RundError):
    """A prefix that several runs share."""

    code = "ambiguous"


class BusyError(RundError):
    """What was asked cannot be done to a run that is running or pending."""

    code = "busy"


class ConflictError(RundError):
    """A request id that was used before, with other params."""

    code = "conflict"


class UnsupportedError(RundError):
    """Something that this version, protocol or platform does not do."""

    code = "unsupported"


class FullError(RundError):
    """The disk is full, or a limit is reached; what was asked has not been done."""

    code = "full"


class InternalError(RundError):
    """A fault of rund itself; its log tells more."""

    code = "internal"


def _cut(message: str) -> str:
    if len(message) <= _LONGEST:
        return message
    half = _LONGEST // 2 - len(" ... ")
    return f"{message[:half]} ... {message[-half:]}"


CODES: dict[str, type[RundError]] = {
    kind.code: kind
    for kind in (
        InvalidError,
        NotFoundError,
        AmbiguousError,
        BusyError,
        ConflictError,
        UnsupportedError,
        FullError,
        InternalError,
    )
}


def error_from_text(text: str) -> RundError:
    """The error that ``"CODE: message"`` of the wire stands for; an unknown code is an internal error."""
    code, separator, message = text.partition(": ")
    kind = CODES.get(code)
    return kind(message) if separator and kind is not None else InternalError(text)


def error_text(error: RundError) -> str:
    """``"CODE: message"``, as the wire has it."""
    return f"{error.code}: {error.message}"
