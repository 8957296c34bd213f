"""Fixtures of tests with a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rund.model.run import Run, Setup, Spec
from rund.model.status import Status
from rund.model.values import FlagValue
from rund.store.directories import Directories
from rund.store.store import prepare
from rund.store.transaction import Transaction

AddRun = Callable[..., Run]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    """A home that is ready to be opened."""
    directories = Directories(tmp_path / "home")
    prepare(directories)
    return directories


@pytest.fixture
def add_run() -> AddRun:
    """Adds a staged run to a transaction: number N has id N, in hex."""

    def add(
        transaction: Transaction, number: int, *, created: float = 0.0, operation: str = "echo.py", **flags: FlagValue
    ) -> Run:
        setup = Setup(
            operation=transaction.add_operation("{}"),
            source=None,
            environment=transaction.add_environment("{}"),
            random_seed=1,
        )
        run = Run(
            id=f"{number:08x}" + "0" * 24,
            operation=operation,
            spec=Spec(setup=setup, flags=dict(flags)),
            status=Status.STAGED,
            created=created,
        )
        transaction.add_run(run)
        return run

    return add
