"""Reads the files of trials that are given as ``@FILE``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rund.errors import InvalidError
from rund.operations.batch_formats import read_csv, read_json, read_json_lines
from rund.operations.batch_rows import BatchRows
from rund.operations.regular_file import read_start

STANDARD_INPUT: Final = "-"
_MAX_MEGABYTES: Final = 256
_MAX_MEGABYTES_YAML: Final = 32  # reading YAML takes a hundred times its size in memory


def _read_yaml(text: str, where: str) -> BatchRows:
    from rund.operations.batch_yaml import read_yaml  # few files are YAML, and its reader is slow to load

    return read_yaml(text, where)


_FORMATS: Final[dict[str, tuple[Callable[[str, str], BatchRows], int]]] = {
    ".csv": (read_csv, _MAX_MEGABYTES),
    ".json": (read_json, _MAX_MEGABYTES),
    ".jsonl": (read_json_lines, _MAX_MEGABYTES),
    ".yaml": (_read_yaml, _MAX_MEGABYTES_YAML),
    ".yml": (_read_yaml, _MAX_MEGABYTES_YAML),
}


def split_batch_file(args: Sequence[str]) -> tuple[str | None, list[str]]:
    """The FILE of ``@FILE`` among the arguments (``-``: standard input), and the other arguments.

    Raises `InvalidError` for more than one file, or for ``@`` alone.
    """
    files = [arg[1:] for arg in args if arg.startswith("@")]
    if len(files) > 1:
        raise InvalidError(f"@{files[1]}: a batch has one file of trials: give one", field="args")
    if files == [""]:
        raise InvalidError("@: the name of a file is missing: write @FILE, or @- for standard input", field="args")
    return (files[0] if files else None), [arg for arg in args if not arg.startswith("@")]


def read_batch_file(path: Path, *, where: str | None = None) -> BatchRows:
    """The rows of a file, which messages call ``where`` (None: its path).

    Raises `InvalidError` for a file that is missing, unreadable, too large or of unknown form; with the row for what is
    wrong in it.
    """
    shown = str(path) if where is None else where
    if path.suffix.lower() not in _FORMATS:
        raise InvalidError(
            f"{shown}: a file of trials of this form is not known: use {', '.join(_FORMATS)}", field="args"
        )
    read, megabytes = _FORMATS[path.suffix.lower()]
    return read(_text(path, shown, megabytes), shown)


def _text(path: Path, where: str, megabytes: int) -> str:
    limit = megabytes * 1_000_000
    try:
        data = read_start(path, limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidError(f"{where}: it cannot be read: {reason or error}", field="args") from None
    if data is None:
        raise InvalidError(f"{where}: it is not a regular file", field="args")
    if len(data) > limit:
        raise InvalidError(f"{where}: it is larger than {megabytes} MB: use fewer rows", field="args")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidError(f"{where}: line {line} is not UTF-8: save the file in that encoding", field="args") from None
