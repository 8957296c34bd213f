"""Removes the folders that nothing needs any more; begun again after a crash.

A source may be needed again while it is garbage: it is taken away inside a transaction, so that whoever adds a run
sees it there, or sees it gone and copies it anew.
"""

from __future__ import annotations

import logging
import secrets
from functools import partial
from pathlib import Path

import anyio.to_thread

from rund.errors import FullError, InternalError
from rund.store.directories import Directories
from rund.store.store import Store
from rund.store.transaction import Transaction

_log = logging.getLogger(__name__)
_AT_ONCE = 200  # folders taken away in one transaction


async def remove_garbage(store: Store) -> None:
    """Remove the folders that are garbage; what a full disk hinders is left for the next time."""
    directories = store.directories
    try:
        while await store.read(lambda reader: reader.garbage(1)):
            await store.write(partial(_take_away, directories=directories), urgent=True)
    except (FullError, InternalError) as error:
        _log.warning("garbage is left for now: %s", error.message)
    await anyio.to_thread.run_sync(directories.remove_taken)


async def note_leftovers(store: Store) -> list[Path]:
    """Note the sources that no run came to need as garbage, and answer the half made copies.

    Only before any client is served: later they could be another request's.
    """
    directories = store.directories
    await store.write(partial(_collect_sources, present=directories.sources()))
    return directories.halves()


async def clean_up(store: Store, halves: list[Path]) -> None:
    """Remove what earlier daemons left."""
    await anyio.to_thread.run_sync(store.directories.remove_halves, halves)
    await remove_garbage(store)


def _collect_sources(transaction: Transaction, *, present: list[str]) -> None:
    transaction.add_garbage(f"sources/{source}" for source in transaction.unneeded_sources(present))


def _take_away(transaction: Transaction, *, directories: Directories) -> None:
    paths = transaction.garbage(_AT_ONCE)
    directories.take_away(paths, lambda: secrets.token_hex(16))
    transaction.forget_garbage(paths)
