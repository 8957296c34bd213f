"""Setups that were read are remembered, but not all of them; none is forgotten while its run is being read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

from rund.engine import lifecycle
from rund.model.run import Run, Setup, Spec
from rund.store.contents import SETUPS_KEPT
from rund.store.directories import Directories
from rund.store.transaction import Transaction
from tests.integration.conftest import AddRun


def test_a_run_is_read_whole_when_no_more_setups_are_kept(directories: Directories, add_run: AddRun) -> None:
    with closing(sqlite3.connect(directories.database, isolation_level=None)) as connection:
        writer = Transaction(connection)
        connection.execute("BEGIN")
        first = add_run(writer, 1)
        others = [_with_setup(writer, first, number, _other(first, number)) for number in range(2, SETUPS_KEPT + 1)]
        stopped = _being_stopped(writer, first, Spec(setup=_other(first, 0), flags={"x": 2}))
        connection.execute("COMMIT")
        reader = Transaction(connection)
        for run in (first, *others):
            assert reader.find(run.id) == run
        assert reader.find(stopped.id) == stopped
        assert not reader.met
        assert [reader.find(run.id) for run in (first, *others)] == [first, *others]


def _other(run: Run, seed: int) -> Setup:
    return replace(run.spec.setup, random_seed=1000 + seed)


def _with_setup(writer: Transaction, first: Run, number: int, setup: Setup) -> Run:
    run = replace(first, id=f"{number:032x}", spec=replace(first.spec, setup=setup))
    writer.add_run(run)
    return run


def _being_stopped(writer: Transaction, first: Run, then: Spec) -> Run:
    """A run of the first one's setup that is being stopped, and then runs with another one."""
    run = _with_setup(writer, first, 0, first.spec.setup)
    queued = lifecycle.queue(run, run.spec, now=1.0, place=1)
    started, attempt = lifecycle.start(queued, now=2.0, host="h", user="u", boot_id="b")
    stopped = lifecycle.queue_after_end(lifecycle.stop(started), then)
    writer.save_run(stopped)
    writer.save_attempt(run.id, attempt)
    return stopped
