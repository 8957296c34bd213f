"""Removes the folders that purged runs left; begun again after a crash.

A source may be needed again while it is garbage: it is taken away inside a transaction, so that whoever adds a run
sees it there, or sees it gone and copies it anew.
"""

from __future__ import annotations

import secrets
from functools import partial

import anyio.to_thread

from rund.store.directories import Directories
from rund.store.store import Store
from rund.store.transaction import Transaction

_AT_ONCE = 200  # folders taken away in one transaction


async def remove_garbage(store: Store) -> None:
    """Forget what nothing needs any more, and remove its folders."""
    directories = store.directories
    await store.write(_forget_unused)
    while await store.read(lambda reader: reader.garbage(1)):
        await store.write(partial(_take_away, directories=directories))
    await anyio.to_thread.run_sync(directories.remove_taken)


def _forget_unused(transaction: Transaction) -> None:
    unused = transaction.unused_sources()
    transaction.forget_unused()
    transaction.add_garbage(f"sources/{digest}" for digest in unused)


def _take_away(transaction: Transaction, *, directories: Directories) -> None:
    paths = transaction.garbage(_AT_ONCE)
    directories.take_away(paths, lambda: secrets.token_hex(16))
    transaction.forget_garbage(paths)
