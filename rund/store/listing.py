"""Reads pages of runs, each from one committed state."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from rund.model.run import Run
from rund.model.status import Status
from rund.store.codec import Row
from rund.store.queries import RUN_COLUMNS
from rund.store.runs import RunReader


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a listing wants; None or empty: any."""

    status: tuple[Status, ...] = ()
    operation: str | None = None
    label: str | None = None
    tag: str | None = None
    trash: bool = False
    orphans: bool = False  # made by a batch that does not list them
    made_by: str | None = None  # with ``orphans``: by this batch

    @property
    def plain(self) -> bool:
        """Whether the counts by status answer how many there are."""
        return self.operation is None and self.label is None and self.tag is None and not self.orphans

    @property
    def all_orphans(self) -> bool:
        """Whether it is of all orphans that are not in the trash."""
        return self.orphans and self.made_by is None and self.tag is None and not self.trash


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs of a listing, how many it has in all, and where the next page begins (None: there is none)."""

    runs: tuple[Run, ...]
    total: int
    next: tuple[float, int] | None


class ListingReader(RunReader):
    """Listings, newest start first."""

    def list_runs(self, wanted: RunFilter, *, limit: int, after: tuple[float, int] | None) -> Page:
        """A page of the runs that ``wanted`` lets through, newest start first."""
        parts = [self._rows(part, limit + 1, after) for part in _in_order(wanted)]
        rows = list(islice(heapq.merge(*parts, key=_place, reverse=True), limit + 1))
        page = tuple(self._runs(rows[:limit]))
        return Page(runs=page, total=self._total(wanted), next=_place(rows[limit - 1]) if len(rows) > limit else None)

    def _rows(self, wanted: RunFilter, limit: int, after: tuple[float, int] | None) -> Iterator[Row]:
        clauses, values = _conditions(wanted)
        start, start_values = ("", ()) if after is None else (" AND (r.listed, r.key) < (?, ?)", after)
        return self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE {clauses}{start} ORDER BY r.listed DESC, r.key DESC LIMIT ?",
            (*values, *start_values, limit),
        )

    def _total(self, wanted: RunFilter) -> int:
        if wanted.plain:
            counts = self.counts(trash=wanted.trash)
            return sum(counts[status] for status in (set(wanted.status) or Status))
        clauses, values = _conditions(wanted)
        # Orphans are few beside the trials that batches list, which SQLite would look through.
        index = "INDEXED BY runs_orphans " if wanted.all_orphans else ""
        row = self._connection.execute(f"SELECT count(*) FROM runs AS r {index}WHERE {clauses}", values).fetchone()
        return int(row[0])


def _place(row: Row) -> tuple[float, int]:
    """What orders listings, of a row of `RUN_COLUMNS`."""
    return row[-2], row[-1]


def _in_order(wanted: RunFilter) -> list[RunFilter]:
    """The same in parts, of each of which an index has the order: of several statuses SQLite would sort all runs."""
    if not wanted.plain or wanted.trash or len(wanted.status) < 2:
        return [wanted]
    return [replace(wanted, status=(status,)) for status in dict.fromkeys(wanted.status)]


def _conditions(wanted: RunFilter) -> tuple[str, list[object]]:
    clauses = ["r.deleted IS NOT NULL" if wanted.trash else "r.deleted IS NULL"]
    values: list[object] = []
    # Those with a tag are few, and found by it: the plus keeps SQLite from looking through all of a status, say.
    r = "r" if wanted.tag is None else "+r"
    if wanted.status:
        clauses.append(f"{r}.status IN ({', '.join('?' * len(wanted.status))})")
        values += [status.value for status in wanted.status]
    for column, value in (("operation", wanted.operation), ("label", wanted.label)):
        if value is not None:
            clauses.append(f"{r}.{column} = ?")
            values.append(value)
    if wanted.tag is not None:
        clauses.append("r.key IN (SELECT run FROM tags WHERE tag = ?)")
        values.append(wanted.tag)
    if wanted.orphans:
        clauses.append("r.made_by IS NOT NULL AND r.batch IS NULL")
    if wanted.made_by is not None:
        clauses.append("r.made_by = (SELECT key FROM runs WHERE id = ?)")
        values.append(wanted.made_by)
    return " AND ".join(clauses), values
