"""One figure of a benchmark, and tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: a median of rounds, and where it is measured against something, the median of the rounds' ratios."""

    work: str
    value: float | None  # None: not measured, for the reason that ``note`` tells
    unit: str
    against: str = ""
    ratio: float | None = None
    bound: float | None = None  # that the ratio, or where there is none the value, must not exceed
    note: str = ""
    over_time: tuple[float, ...] = ()  # what it was in each part of a long measurement


def row_of(
    work: str,
    taken: Sequence[float],
    unit: str,
    *,
    against: str = "",
    other: Sequence[float] | None = None,
    bound: float | None = None,
    note: str = "",
) -> Row:
    """The row of what each round took, compared round by round with what ``other`` took."""
    ratio = None
    if other is not None:
        ratio = statistics.median(one / two for one, two in zip(taken, other, strict=True))
    return Row(
        work=work,
        value=statistics.median(taken),
        unit=unit,
        against=against,
        ratio=ratio,
        bound=bound,
        note=note,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as text, a line each."""
    lines = [f"{'work':44} {'median':>10} {'unit':8} {'ratio':>6} {'bound':>6}  against"]
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.3f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        bound = "" if row.bound is None else f"{row.bound:g}"
        note = f" ({row.note})" if row.note else ""
        lines.append(f"{row.work:44} {value:>10} {row.unit:8} {ratio:>6} {bound:>6}  {row.against}{note}")
        if row.over_time:
            lines.append("    over time: " + " ".join(f"{part:.4g}" for part in row.over_time))
    return "\n".join(lines)
