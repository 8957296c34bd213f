"""A daemon that is asked to end with its runs, by itself: refused, and asked by somebody who has gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from rund.broker import Broker
from rund.errors import FullError
from rund.handlers.leaving import Leaving
from rund.store.store import CannotReadError

pytestmark = pytest.mark.anyio

PATIENCE = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OneRun:
    """A store with one run, that may be full."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.running = ["run"]
        self.faults = 0
        self.changes: list[Callable[..., Any]] = []
        self.may_commit = anyio.Event()

    async def write(self, change: Callable[..., Any], *, urgent: bool) -> None:
        await self.may_commit.wait()
        if self.full:
            raise FullError("no room")
        self.changes.append(change)

    async def read(self, _query: Callable[..., Any]) -> list[str]:
        if self.faults:
            self.faults -= 1
            raise CannotReadError("disk I/O error")
        return self.running


class Asked:
    """A `Leaving` of a store, and what it says about starts."""

    def __init__(self, store: OneRun) -> None:
        self.broker = Broker()
        self.allowed: list[bool] = []
        self.leaving = Leaving(store, self.broker, self._note)  # type: ignore[arg-type] # a fake store

    def _note(self, *, allowed: bool) -> None:
        self.allowed.append(allowed)


def stop_all(_: object) -> None:
    """Is not carried out here."""


async def test_one_that_is_refused_leaves_a_daemon_that_starts_runs_again() -> None:
    store = OneRun(full=True)
    store.may_commit.set()
    asked = Asked(store)
    with pytest.raises(FullError):
        await asked.leaving.after_runs(stop_all)
    assert asked.allowed == [False, True]
    assert not asked.leaving.told.is_set()


async def test_one_whose_caller_goes_before_the_commit_is_carried_through() -> None:
    store = OneRun()
    asked = Asked(store)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as daemon:
            daemon.start_soon(asked.leaving.see_runs_out)
            async with anyio.create_task_group() as client:
                client.start_soon(asked.leaving.after_runs, stop_all)
                await anyio.wait_all_tasks_blocked()
                client.cancel_scope.cancel()
                store.may_commit.set()
            assert store.changes == [stop_all]
            assert not asked.leaving.told.is_set()
            store.running = []
            asked.broker.ring()
        assert asked.leaving.told.is_set()
    assert asked.allowed == [False]


async def test_whoever_asked_is_answered_before_the_daemon_ends() -> None:
    store = OneRun()
    store.may_commit.set()
    asked = Asked(store)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as daemon:
            daemon.start_soon(asked.leaving.see_runs_out)
            store.running = []
            await asked.leaving.after_runs(stop_all)
            assert not asked.leaving.told.is_set()


async def test_a_store_that_cannot_be_read_just_then_is_read_again() -> None:
    store = OneRun()
    store.may_commit.set()
    store.faults = 2
    store.running = []
    asked = Asked(store)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as daemon:
            daemon.start_soon(asked.leaving.see_runs_out)
            await asked.leaving.after_runs(stop_all)
            asked.leaving.leave()
    assert store.faults == 0
