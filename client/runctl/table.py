"""Rows of text as aligned columns, cut to a width."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
_CUT = "\N{HORIZONTAL ELLIPSIS}"


def lay_out(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """One line per row, columns aligned; each cut with an ellipsis to ``width`` columns, unless that is None."""
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell + " " * (wanted - columns(cell)) for cell, wanted in zip(row, widths, strict=True)]
        lines.append(cut(_GAP.join(cells).rstrip(), width))
    return lines


def cut(text: str, width: int | None) -> str:
    """``text``, or as much of its beginning as fits in ``width`` columns with an ellipsis after it."""
    if width is None or columns(text) <= width:
        return text
    end = width - 1
    while end > 0 and columns(text[:end]) > width - 1:
        end -= 1
    return text[: max(end, 0)] + _CUT


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes: East Asian wide letters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 1 + (east_asian_width(letter) in "FW") for letter in text)
