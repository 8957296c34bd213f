"""Removes the folders that nothing needs any more; begun again after a crash.

A source may be needed again while it is garbage: it is taken away inside a transaction, so that whoever adds a run
sees it there, or sees it gone and copies it anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rund.errors import FullError, InternalError
from rund.store.directories import Directories, log_left
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction
from rund.threads import in_thread

_log = logging.getLogger(__name__)
_AT_ONCE = 200  # folders taken away in one transaction
_LOOKED_AT = 2_000  # setups at a time


async def remove_garbage(store: Store) -> list[str]:
    """Remove the folders that are garbage; what a full disk hinders is left for the next time.

    Answers, and logs, what cannot be removed, each as ``PATH: why``.
    """
    directories = store.directories
    stuck: dict[str, str] = {}
    try:
        while await store.read(partial(_more, stuck=stuck)):
            stuck |= await store.write(partial(_take_away, directories=directories, stuck=stuck), urgent=True)
    except (FullError, InternalError) as error:
        _log.warning("garbage is left for now: %s", error.message)
    left = [f"{directories.home / path}: {reason}" for path, reason in stuck.items()]
    left += await _remove_taken(directories)
    log_left(left)
    return left


async def remove_source(store: Store, source: str) -> None:
    """Remove a source that no run needs, as that of a request which was refused; else the next daemon does."""
    try:
        await store.write(partial(_collect_sources, present=[source]))
    except (FullError, InternalError) as error:
        _log.warning("a source that nothing needs is left for now: %s", error.message)
    else:
        await remove_garbage(store)


async def _remove_taken(directories: Directories) -> list[str]:
    """Remove what was taken away; what many files take is given up when the daemon ends, and the next goes on."""
    given_up = threading.Event()
    try:
        return await in_thread(directories.remove_taken, given_up.is_set, abandon_on_cancel=True)
    finally:
        given_up.set()


async def note_leftovers(store: Store) -> list[Path]:
    """Note the sources that no run came to need as garbage, and answer the half made copies.

    Only before any client is served: later they could be another request's.
    """
    directories = store.directories
    await store.write(partial(_collect_sources, present=directories.sources()))
    return directories.halves()


async def clean_up(store: Store, halves: list[Path]) -> None:
    """Remove what earlier daemons left, and what restarts have replaced: beside all other work, some at a time."""
    await in_thread(store.directories.take_halves, halves)
    try:
        await _forget_replaced(store)
    except (FullError, InternalError) as error:
        _log.warning("what restarts have replaced is left for now: %s", error.message)
    await remove_garbage(store)


async def _forget_replaced(store: Store) -> None:
    """Erase setups that nothing needs any more, and their contents: environments may hold secrets."""
    last: int | None = 0
    while last is not None:
        unused, last = await store.read(partial(_unused_setups, after=last))
        if unused:
            await store.write(partial(_forget_setups, unused=unused))
    operations, environments = await store.read(lambda reader: reader.contents_without_setups())
    if operations or environments:
        await store.write(lambda transaction: transaction.forget_contents(operations, environments))


def _unused_setups(reader: Reader, *, after: int) -> tuple[list[int], int | None]:
    return reader.setups_after(after, _LOOKED_AT)


def _forget_setups(transaction: Transaction, *, unused: list[int]) -> None:
    transaction.forget_setups(unused)


def _collect_sources(transaction: Transaction, *, present: list[str]) -> None:
    transaction.add_garbage(f"sources/{source}" for source in transaction.unneeded_sources(present))


def _more(reader: Reader, *, stuck: Mapping[str, str]) -> bool:
    return len(reader.garbage(len(stuck) + 1)) > len(stuck)


def _take_away(transaction: Transaction, *, directories: Directories, stuck: Mapping[str, str]) -> dict[str, str]:
    """Take some away; answers those that cannot be, with why: they stay garbage, for the next time."""
    paths = [path for path in transaction.garbage(_AT_ONCE + len(stuck)) if path not in stuck]
    left = directories.take_away(paths)
    transaction.forget_garbage(path for path in paths if path not in left)
    return left
