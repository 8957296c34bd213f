"""backup, and the one that is made by itself each day."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import anyio

from rund.api.params import BackupParams
from rund.clock import now
from rund.errors import InternalError, InvalidError, RundError
from rund.handlers.context import Call, Context, Reply
from rund.store.backup import back_up
from rund.store.backups import is_due, kept_backups, make_backup
from rund.store.store import Store
from rund.threads import in_thread

T = TypeVar("T")
_LOOK: Final = 3600.0  # seconds between looks whether a backup is due

_log = logging.getLogger(__name__)


async def backup(context: Context, call: Call[BackupParams]) -> Reply:
    """Copy the database into a file that the client names, while everything goes on."""
    params = call.params
    path = Path(params.path)
    if not path.is_absolute() or "\0" in params.path:
        raise InvalidError("path: give an absolute path: the daemon has another working folder", field="path")
    database = context.store.directories.database
    _check_files(context.store)
    size = await _in_thread(context.store, lambda proceed: back_up(database, path, force=params.force, proceed=proceed))
    return {"path": str(path), "bytes": size}


async def back_up_daily(store: Store, *, keep: int) -> None:
    """Make a backup each day until cancelled, of which the newest ``keep`` are kept; none if that is 0."""
    if not keep:
        return
    while True:
        try:
            await _back_up_if_due(store, keep)
        except RundError as error:
            _log.warning("the daily backup was not made: %s", error.message)
        await anyio.sleep(_LOOK)


async def _back_up_if_due(store: Store, keep: int) -> None:
    directories = store.directories
    _check_files(store)
    backups = await in_thread(kept_backups, directories.backups)
    first = await store.read(lambda reader: reader.first_made())
    if not is_due(backups, now=now(), first_run=first):
        return
    if await _in_thread(store, lambda proceed: make_backup(directories, now=now(), keep=keep, proceed=proceed)):
        _log.info("the daily backup was made, in %s", directories.backups)


def _check_files(store: Store) -> None:
    """Raise `InternalError` if the database or its log was removed: to open it anew would make or harm another."""
    what = store.files.fault()
    if what is not None:
        raise InternalError(what)


async def _in_thread(store: Store, work: Callable[[Callable[[], bool]], T]) -> T:
    """What ``work`` answers, in a thread; it is told to give up when nobody waits for it any more."""
    given_up = threading.Event()
    try:
        return await in_thread(work, lambda: not given_up.is_set(), abandon_on_cancel=True, limiter=store.copies)
    finally:
        given_up.set()
