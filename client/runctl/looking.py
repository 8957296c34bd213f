"""Asks for many runs at once."""

from __future__ import annotations

from rund.errors import NotFoundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runctl.connection import Connection

_AT_ONCE = 1000


def look_up(daemon: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """The runs with these ids, as they are now; those that are gone are left out.

    Asked by a ``wait`` that does not wait, which answers any number of runs from one committed state.
    """
    found: dict[str, Any] = {}
    for begin in range(0, len(ids), _AT_ONCE):
        some = list(ids[begin : begin + _AT_ONCE])
        try:
            runs = daemon.call("wait", runs=some, timeout=0.0)["runs"]
        except NotFoundError:
            runs = [run for one in some for run in _look_up_one(daemon, one)]
        found.update((run["id"], run) for run in runs)
    return found


def _look_up_one(daemon: Connection, run_id: str) -> list[Any]:
    try:
        runs: list[Any] = daemon.call("wait", runs=[run_id], timeout=0.0)["runs"]
    except NotFoundError:
        return []
    return runs
