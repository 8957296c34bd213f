"""What to do about a script that ends on a file that it does not find: a run has a directory of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path, PurePath

from rund.model.operation import Operation
from rund.operations.regular_file import path_exists

_NOT_FOUND = re.compile(
    r"FileNotFoundError: (?:"
    r"\[Errno 2\] No such file or directory: (?P<quoted>'[^']*'|\"[^\"]*\")(?: -> .*)?"
    r"|\[Errno 2\] Unable to (?:synchronously )?open file \(.*name = '(?P<named>[^']*)'.*"
    r"|(?P<bare>\S+) not found\.)"
)


def missing_file(output_tail: str) -> str | None:
    """The relative path that a Python ``FileNotFoundError`` on the last line of an output names; None if none does."""
    lines = output_tail.rstrip().splitlines()
    found = _NOT_FOUND.fullmatch(lines[-1].strip()) if lines else None
    if found is None:
        return None
    path = _unquoted(found["quoted"]) if found["quoted"] else found["named"] or found["bare"]
    if not path or "\0" in path or PurePath(path).is_absolute() or ".." in PurePath(path).parts:
        return None
    return path if PurePath(path).parts else None


def _unquoted(text: str) -> str | None:
    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return None


def input_hint(output_tail: str, operation: Operation) -> str | None:
    """What to tell the user if the file that a run did not find is there in the project; None if it is not."""
    path = missing_file(output_tail)
    if path is None:
        return None
    top = PurePath(path).parts[0]
    for folder in (operation.cwd, operation.project_dir):
        if path_exists(Path(folder, path)):
            return f"{path} is in the project, not in the run's own directory: add --input {top}"
    beside = Path(operation.project_dir, operation.entry).parent
    if path_exists(beside / path):
        return f"{path} is in {beside}, not in the run's own directory: run from there and add --input {top}"
    return None
