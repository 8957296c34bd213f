"""Reads pages of runs, each from one committed state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rund.model.run import Run
from rund.model.status import Status
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
        clauses, values = _conditions(wanted)
        start, start_values = ("", ()) if after is None else (" AND (r.listed, r.key) < (?, ?)", after)
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM runs AS r WHERE {clauses}{start} ORDER BY r.listed DESC, r.key DESC LIMIT ?",
            (*values, *start_values, limit + 1),
        ).fetchall()
        page = tuple(self._runs(rows[:limit]))
        following = (rows[limit - 1][-2], rows[limit - 1][-1]) if len(rows) > limit else None
        return Page(runs=page, total=self._total(wanted, clauses, values), next=following)

    def _total(self, wanted: RunFilter, clauses: str, values: Sequence[object]) -> int:
        if wanted.plain:
            counts = self.counts(trash=wanted.trash)
            return sum(counts[status] for status in (wanted.status or tuple(Status)))
        row = self._connection.execute(f"SELECT count(*) FROM runs AS r WHERE {clauses}", tuple(values)).fetchone()
        return int(row[0])


def _conditions(wanted: RunFilter) -> tuple[str, list[object]]:
    clauses = ["r.deleted IS NOT NULL" if wanted.trash else "r.deleted IS NULL"]
    values: list[object] = []
    if wanted.status:
        clauses.append(f"r.status IN ({', '.join('?' * len(wanted.status))})")
        values += [status.value for status in wanted.status]
    for column, value in (("operation", wanted.operation), ("label", wanted.label)):
        if value is not None:
            clauses.append(f"r.{column} = ?")
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
