"""Files of trials in CSV, JSON and JSON lines, from their text."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from rund.errors import InvalidError
from rund.operations.batch_rows import BatchRows, check_row_count, check_rows, row_error


class _RepeatedNameError(ValueError):
    """A map that has one name twice."""


def read_csv(text: str, where: str) -> BatchRows:
    """The rows of a CSV file with a header; blank lines are passed over.

    Raises `InvalidError` with file and row.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = _header([cell.strip() for cell in cells], where)
                continue
            if len(cells) != len(header):
                raise row_error(where, len(rows) + 1, f"it has {_cells(len(cells))}, and the header {len(header)}")
            rows.append(dict(zip(header, cells, strict=True)))
            check_row_count(len(rows), where)
    except csv.Error as error:
        raise row_error(where, len(rows) + 1, f"it is not CSV: {error}") from None
    return check_rows(rows, where, textual=True)


def read_json(text: str, where: str) -> BatchRows:
    """The rows of a JSON file: a list of maps.  Raises `InvalidError` with file and row."""
    try:
        value = json.loads(text, object_pairs_hook=_map)
    except RecursionError:
        raise InvalidError(f"{where}: it is nested too deep", field="args") from None
    except ValueError as error:
        raise InvalidError(f"{where}: it is not JSON: {error}", field="args") from None
    if not isinstance(value, list):
        raise InvalidError(f"{where}: expected a list of maps, one for each trial", field="args")
    return check_rows(value, where)


def read_json_lines(text: str, where: str) -> BatchRows:
    """The rows of JSON lines: a map on each; blank lines are passed over.  Raises `InvalidError` with file and row."""
    rows: list[Any] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line, object_pairs_hook=_map))
        except RecursionError:
            raise row_error(where, len(rows) + 1, "it is nested too deep") from None
        except ValueError as error:
            raise row_error(where, len(rows) + 1, f"it is not JSON: {error}") from None
        check_row_count(len(rows), where)
    return check_rows(rows, where)


def _header(names: list[str], where: str) -> list[str]:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InvalidError(f"{where}: the header has {name!r} twice: give it once", field="args")
    return names


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RepeatedNameError(f"{twice!r} is given twice")
    return values
