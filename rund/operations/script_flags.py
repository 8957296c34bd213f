"""The flags of a Python script, found in its text without running it.

Argparse options where the script makes an argparse parser, else its top-level literals.  It is read by the grammar
of the Python that runs rund.
"""

from __future__ import annotations

import ast
import io
import tokenize
import warnings

from rund.errors import InvalidError
from rund.model.operation import FlagDef
from rund.operations.argparse_flags import argparse_flags
from rund.operations.literal_flags import literal_flags


def decode_source(data: bytes, filename: str) -> str:
    """The text of a script, by its byte order mark or coding line (PEP 263).

    Raises `InvalidError` with path and line for text that is not in the encoding it says.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        raise _unreadable(filename, 1, str(error.msg)) from None
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(filename, line, f"it is not {encoding}: save it as UTF-8 or name its encoding") from None
    return text.removeprefix("\ufeff")


def read_flags(source: str, filename: str) -> tuple[FlagDef, ...]:
    """The flags of the script ``source``; ``filename`` is for messages.

    Raises `InvalidError` with path and line if it does not parse, `UnsupportedError` if it has subcommands.
    """
    tree = _parse(source, filename)
    flags = argparse_flags(tree, filename)
    return literal_flags(tree) if flags is None else flags


def _parse(source: str, filename: str) -> ast.Module:
    null = source.find("\0")
    if null >= 0:
        raise _unreadable(filename, source.count("\n", 0, null) + 1, "it has a null character")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, filename)
    except SyntaxError as error:
        raise _unreadable(filename, error.lineno or 1, error.msg) from None
    except (RecursionError, MemoryError):
        raise _unreadable(filename, 1, "it is nested too deeply") from None
    except ValueError as error:
        raise _unreadable(filename, 1, str(error)) from None


def _unreadable(filename: str, line: int, reason: str) -> InvalidError:
    return InvalidError(f"{filename}, line {line}: {reason}", field="operation")
