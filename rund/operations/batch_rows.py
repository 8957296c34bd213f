"""The rows of a batch file, brought to an operation's flags.

Rules: cells of text are read as on the command line, by the flag's type, and an empty one means the default; in typed
rows a list is a list of values and a string always a string; a flag that a row leaves out has the default; a flag given
beside the file holds in every row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rund.errors import InvalidError
from rund.model.operation import FlagDef, Operation
from rund.model.space import FlagSpace, Row, Space, space_values
from rund.model.values import FlagValue
from rund.operations.assign import check_required, passed_flag, takes_any_flag
from rund.operations.flag_functions import read_list
from rund.operations.given import Assignment, check_name, check_value, same_name
from rund.operations.together import ListReader

MAX_ROWS: Final = 1_000_000
_WHERE: Final = ',"where":'


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRows:
    """The rows of a file as they stand there; a batch keeps them."""

    rows: Sequence[Mapping[str, FlagValue]]
    where: str  # the file as the user named it
    textual: bool = False  # the values are text, to be read by the types of the flags


def row_error(where: str, number: int, message: str, field: str | None = None) -> InvalidError:
    """What is wrong with row ``number``, from 1."""
    return InvalidError(f"{where}: row {number}: {message}", field=field or "args")


def check_rows(rows: Sequence[Any], where: str, *, textual: bool = False) -> BatchRows:
    """Rows as a client or a file gave them.

    Raises `InvalidError` with file and row: a row that is not a map of flags, one flag twice, a value that no flag can
    have, no rows or too many.
    """
    if not rows:
        raise InvalidError(f"{where}: it has no rows: give one for each trial", field="args")
    check_row_count(len(rows), where)
    checked: set[tuple[object, ...]] = set()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            kind = "null" if row is None else type(row).__name__
            raise row_error(where, number, f"expected a map of flags, got {kind}")
        try:
            names = tuple(row)
            if names not in checked:
                _check_names(names)
                checked.add(names)
            for name, value in row.items():
                check_value(name, value)
        except InvalidError as error:
            raise row_error(where, number, error.message, error.field) from None
    return BatchRows(rows=rows, where=where, textual=textual)


def check_row_count(count: int, where: str) -> None:
    """Raise `InvalidError` for more rows than a batch can have trials."""
    if count > MAX_ROWS:
        raise InvalidError(f"{where}: it has more than {MAX_ROWS:,} rows: a batch has at most so many", field="args")


def assign_rows(
    operation: Operation, rows: BatchRows, *, space: Space, given: frozenset[str], force: bool
) -> list[Row]:
    """What each row sets, by the operation's names; what was ``given`` beside the file is left out.

    ``space`` is that of the batch.  Raises `InvalidError` with file and row, naming the flag.
    """
    reader = _RowReader(operation, space, given, force=force, textual=rows.textual)
    assigned: list[Row] = []
    for number, row in enumerate(rows.rows, 1):
        try:
            assigned.append(reader.read(row))
        except InvalidError as error:
            raise row_error(rows.where, number, error.message, error.field) from None
    return assigned


def updated_rows(before: Operation, operation: Operation, rows: BatchRows) -> BatchRows:
    """The rows of a batch for the new ``operation`` (``--update-source``), without flags that only ``before`` has."""
    if takes_any_flag(operation):
        return rows
    gone = {same_name(flag.name) for flag in before.flags} - {same_name(flag.name) for flag in operation.flags}
    if not gone:
        return rows
    kept = [{name: value for name, value in row.items() if same_name(name) not in gone} for row in rows.rows]
    return replace(rows, rows=kept)


def rows_to_json(rows: BatchRows) -> str:
    """Text that `rows_from_json` reads back exactly."""
    fields = {"rows": rows.rows, "textual": rows.textual, "where": rows.where}
    return json.dumps(fields, separators=(",", ":"))


def rows_from_json(text: str) -> BatchRows:
    """The rows that `rows_to_json` wrote."""
    return BatchRows(**json.loads(text))


def same_rows(one: str | None, other: str | None) -> bool:
    """Whether these texts of `rows_to_json` hold the same rows, whatever the file is named; None: of no file."""
    if one is None or other is None:
        return one is other
    # The name stands last, and a quotation mark in it is escaped.
    return one.rpartition(_WHERE)[0] == other.rpartition(_WHERE)[0]


def _check_names(names: tuple[object, ...]) -> None:
    seen: set[str] = set()
    for name in names:
        checked = check_name(name)
        if same_name(checked) in seen:
            raise InvalidError(f"{checked}: the flag is given twice: give it once", field=checked)
        seen.add(same_name(checked))


class _RowReader:
    """Reads rows one after the other, and what they have in common once."""

    def __init__(
        self, operation: Operation, space: Space, given: frozenset[str], *, force: bool, textual: bool
    ) -> None:
        self._operation = operation
        self._values = space_values(space)
        self._given = given
        self._force = force
        self._textual = textual
        self._known = {same_name(flag.name): flag for flag in operation.flags}
        self._flags: dict[str, FlagDef] = {}
        self._read: dict[tuple[str, str], FlagValue | FlagSpace] = {}
        self._lists = ListReader()
        self._required = [flag for flag in operation.flags if flag.required and self._values.get(flag.name) is None]

    def read(self, row: Mapping[str, FlagValue]) -> Row:
        """What the row sets."""
        values: Row = {}
        for name, value in row.items():
            flag = self._flags.get(name) or self._flag(name)
            if flag.name in self._given or (self._textual and value == ""):
                continue
            values[flag.name] = self._value(flag, value)
        for flag in self._required:
            check_required(self._operation, flag, values.get(flag.name))
        return values

    def _flag(self, name: str) -> FlagDef:
        flag = self._known.get(same_name(name))
        if flag is None:
            flag = passed_flag(self._operation, name, self._values, force=self._force)
        self._flags[name] = flag
        return flag

    def _value(self, flag: FlagDef, value: FlagValue) -> FlagValue | FlagSpace:
        if not self._textual or not isinstance(value, str):
            return read_list(flag, value)
        key = (flag.name, value)
        if key not in self._read:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[key] = self._lists.read(flag, Assignment(name=flag.name, text=value))
        return self._read[key]


_REMEMBERED: Final = 10_000  # texts of cells: columns often repeat a few
