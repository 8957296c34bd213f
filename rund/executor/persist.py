"""Writes what must be written, and reads what must be known: a fault of the disk makes it wait, and loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from rund.errors import FullError, InternalError
from rund.store.reader import Reader
from rund.store.store import CannotReadError, Store
from rund.store.transaction import Transaction

T = TypeVar("T")
RETRY: Final = 1.0  # seconds until a write, or a start that the machine had no room for, is tried again

_log = logging.getLogger(__name__)


async def persist(store: Store, change: Callable[[Transaction], T]) -> T:
    """Carry out ``change`` as soon as the store takes it; answers its result."""
    told = False
    while True:
        try:
            return await store.write(change, urgent=True)
        except (FullError, InternalError) as error:
            if not told:
                _log.error("what has happened cannot be written now, and is kept until it can: %s", error.message)
                told = True
            await anyio.sleep(RETRY)


async def learn(store: Store, query: Callable[[Reader], T]) -> T:
    """The answer of ``query``, as soon as the store can be read."""
    told = False
    while True:
        try:
            return await store.read(query)
        except CannotReadError as error:
            if not told:
                _log.error("runs wait: %s", error.message)
                told = True
            await anyio.sleep(RETRY)
