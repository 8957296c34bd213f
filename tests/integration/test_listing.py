"""Listings of a store in the shapes of real work: each filter lets through what it says, in order, page after page."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rund.model.status import Status
from rund.store.connection import open_reader
from rund.store.listing import RunFilter
from rund.store.reader import Reader
from tests.benchmarks.many_runs import make_store

RUNS = 1000
_TAGGED = "key IN (SELECT run FROM tags WHERE tag = 'paper')"
_ORPHANS = "made_by IS NOT NULL AND batch IS NULL"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    home = tmp_path_factory.mktemp("many") / "home"
    make_store(home, RUNS)
    connection = open_reader(home / "rund.db")
    yield connection
    connection.close()


def statuses(*names: Status) -> str:
    return f"status IN ({', '.join(repr(name.value) for name in names)})"


FEW = (Status.ERROR, Status.TERMINATED)


@pytest.mark.parametrize(
    ("wanted", "condition"),
    [
        (RunFilter(), "1"),
        (RunFilter(status=(Status.COMPLETED,)), statuses(Status.COMPLETED)),
        (RunFilter(status=FEW), statuses(*FEW)),
        (RunFilter(status=(Status.STAGED, *FEW, Status.STAGED)), statuses(Status.STAGED, *FEW)),
        (RunFilter(status=tuple(Status)), "1"),
        (RunFilter(status=(Status.RUNNING, Status.PENDING)), "0"),
        (RunFilter(operation="train.py"), "operation = 'train.py'"),
        (RunFilter(operation="tune.py", status=FEW), f"operation = 'tune.py' AND {statuses(*FEW)}"),
        (RunFilter(label="final"), "label = 'final'"),
        (RunFilter(label="final", status=FEW), f"label = 'final' AND {statuses(*FEW)}"),
        (RunFilter(tag="paper"), _TAGGED),
        (RunFilter(tag="paper", status=(Status.COMPLETED,)), f"{_TAGGED} AND {statuses(Status.COMPLETED)}"),
        (RunFilter(tag="paper", operation="train.py"), f"{_TAGGED} AND operation = 'train.py'"),
        (RunFilter(orphans=True), _ORPHANS),
        (RunFilter(orphans=True, status=FEW), f"{_ORPHANS} AND {statuses(*FEW)}"),
        (RunFilter(orphans=True, tag="paper"), f"{_ORPHANS} AND {_TAGGED}"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("trash", [False, True])
def test_the_pages_of_a_listing_hold_what_its_filter_says(
    connection: sqlite3.Connection, wanted: RunFilter, condition: str, trash: bool
) -> None:
    chosen = f"deleted IS {'NOT ' if trash else ''}NULL AND {condition}"
    rows = connection.execute(f"SELECT id FROM runs WHERE {chosen} ORDER BY listed DESC, key DESC").fetchall()
    expected = [row[0] for row in rows]
    reader = Reader(connection)
    found: list[str] = []
    after = None
    wanted = RunFilter(**{**fields(wanted), "trash": trash})
    while True:
        page = reader.list_runs(wanted, limit=max(1, len(expected) // 4), after=after)
        assert page.total == len(expected)
        found += [run.id for run in page.runs]
        after = page.next
        if after is None:
            break
    assert found == expected


def fields(wanted: RunFilter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in RunFilter.__slots__}


def list_few(reader: Reader) -> None:
    reader.list_runs(RunFilter(status=FEW), limit=20, after=None)


def list_page(reader: Reader) -> None:
    reader.list_runs(RunFilter(), limit=20, after=None)


@pytest.mark.parametrize("ask", [list_page, list_few])
def test_no_listing_sorts_the_runs_of_a_store(connection: sqlite3.Connection, ask: Callable[[Reader], None]) -> None:
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    try:
        ask(Reader(connection))
    finally:
        connection.set_trace_callback(None)
    selects = [statement for statement in asked if "ORDER BY r.listed" in statement]
    assert selects
    for statement in selects:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if "TEMP B-TREE" in step]
