"""Carries out groups of changes in few commits.

Rules:

- A group is one commit; where that cannot be, each is carried out alone, so that one does not spoil the others.
- On a full disk what is urgent is written by the reserve, and nothing else until that is whole again.
- What is there after a fault is for `WritingConnection` to find out.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from rund.clock import now
from rund.errors import InternalError, RundError
from rund.store.directories import Directories
from rund.store.faults import WriteFaults, is_full_disk
from rund.store.files import StoreFiles
from rund.store.log import Log
from rund.store.reserve import Reserve
from rund.store.transaction import Transaction
from rund.store.writing import MissingFileError, WritingConnection

_log = logging.getLogger(__name__)


class Asked:
    """One change, and who waits for its outcome; an ``urgent`` one may use the reserve."""

    __slots__ = ("change", "error", "future", "result", "urgent")

    def __init__(self, change: Callable[[Transaction], Any], future: asyncio.Future[Any], *, urgent: bool) -> None:
        self.change = change
        self.future = future
        self.urgent = urgent
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        """Tell who waits; to be called once."""
        future, error = self.future, self.error
        del self.future, self.error  # an error refers to where it was raised, and so to this: no ring is to be left
        if future.cancelled():
            return
        if error is None:
            future.set_result(self.result)
        else:
            future.set_exception(error)


class _FlushError(Exception):
    """A commit failed in such a way that nobody can tell yet whether it is there."""


class Committer:
    """Writes changes to a home's database.  For one thread."""

    def __init__(self, directories: Directories, reserve: Reserve, files: StoreFiles) -> None:
        self._directories = directories
        self._reserve = reserve
        self._writing = WritingConnection(directories, files)
        self._faults = WriteFaults()
        self.stops = 0  # how often a run that is being stopped has been written
        if not reserve.make():
            self._faults.note_full()

    @property
    def fault(self) -> str | None:
        """Why not everything can be written now; None if it can."""
        return self._faults.present

    def carry_out(self, group: Sequence[Asked]) -> bool:
        """Carry out ``group``; each has its result or error then.

        Answers whether anything has changed, or a fault is over: then what waited for its end can go on.
        """
        fault = self.fault
        try:
            changed = self._carry_out(self._admitted(group))
        except Exception as error:  # noqa: BLE001 - logged, told, and nobody waits for ever
            # Not even a roll-back was possible: the connection is given up, and the next group has a new one.
            _log.exception("the store could not be written")
            for asked in group:
                asked.error = asked.error or InternalError(f"the store could not be written ({error})")
            self._writing.give_up()
            return False
        return changed or (fault is not None and self.fault is None)

    def look_again(self) -> bool:
        """Whether the fault that there was is over."""
        try:
            self._writing.ready()
            if not self._reserve.make():
                return False
            self._writing.prove()
        except (sqlite3.Error, OSError, MissingFileError):
            return False
        self._faults.note(None)
        return True

    def copy_log(self) -> None:
        """Copy the log into the database, if it has grown; see `Log`."""
        self._writing.copy_log()

    def close(self) -> None:
        """Close the connection."""
        self._writing.close()

    def _admitted(self, group: Sequence[Asked]) -> list[Asked]:
        """Those of ``group`` that may be written now."""
        if not self._reserve.short or self._reserve.make():
            return list(group)
        for asked in group:
            if not asked.urgent:
                asked.error = self._faults.full()
        return [asked for asked in group if asked.urgent]

    def _carry_out(self, group: list[Asked]) -> bool:
        if not group:
            return False
        try:
            transaction = self._writing.ready()
            transaction.keep_copies(in_memory=len(group) == 1 and not group[0].urgent)
            transaction.connection.execute("BEGIN IMMEDIATE")
        except MissingFileError as error:
            return _refuse(group, self._faults.missing(str(error)))
        except (sqlite3.Error, OSError) as error:
            self._writing.give_up()
            self._faults.note(f"the store cannot be written ({error})")
            return _refuse(group, self._faults.refused(error))
        transaction.short = self._reserve.short
        before = transaction.connection.total_changes
        try:
            _commit(transaction, self._writing.log, group)
        except _FlushError as error:
            return _refuse(group, self._settled(error))
        except (sqlite3.Error, OSError) as error:
            _roll_back(transaction)
            return self._carry_out_each(group, error)
        changed = transaction.connection.total_changes > before
        # Only now: who sees it change must find in the store what changed it.
        self.stops += transaction.take_stops()
        lost = self._writing.lost() if changed else None
        if lost is not None:
            self._faults.note(lost)
            _refuse(group, InternalError(lost))
        elif not self._reserve.short:
            self._faults.note(None)
        return changed

    def _carry_out_each(self, group: list[Asked], error: sqlite3.Error | OSError) -> bool:
        for asked in group:
            asked.result = asked.error = None
        if len(group) > 1:
            return sum(self._carry_out([asked]) for asked in group) > 0  # all of them, not the first
        if is_full_disk(error) and group[0].urgent and self._reserve.give_to(self._directories.log):
            return self._carry_out(group)
        return _refuse(group, self._faults.refused(error))

    def _settled(self, error: _FlushError) -> RundError:
        """What to tell of a failed flush, after an attempt to make certain that it left nothing."""
        _log.error("a change could not be made durable: %s", error)
        try:
            self._writing.settle_flush()
        except (sqlite3.Error, OSError, MissingFileError) as again:
            self._faults.note(f"the store cannot be written ({again})")
            return InternalError(
                f"the disk failed while this was written ({error}), and it is not certain whether it was: "
                "look before you ask again"
            )
        return InternalError(f"the disk failed while this was written ({error}): nothing was changed; try again")


def _refuse(group: list[Asked], error: RundError) -> bool:
    for asked in group:
        asked.error = asked.error or error
    return False


def _commit(transaction: Transaction, log: Log, group: list[Asked]) -> None:
    """Carry out a group in the transaction that has begun, and commit it."""
    connection = transaction.connection
    log.begin()
    # One alone is rolled back with the transaction: for a savepoint SQLite writes each page that is changed once more.
    several = len(group) > 1
    for asked in group:
        if several:
            connection.execute("SAVEPOINT change")
        try:
            asked.result = asked.change(transaction)
            transaction.settle(now())
        except (sqlite3.Error, OSError):
            raise
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and is raised there
            asked.error = error
            _check_begun(connection)
            connection.execute("ROLLBACK TO change" if several else "ROLLBACK")
            transaction.forget_read()
            if not several:
                return
        _check_begun(connection)
        if several:
            connection.execute("RELEASE change")
    log.number()
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if is_full_disk(error):
            raise
        raise _FlushError(str(error)) from error
    log.committed()


def _check_begun(connection: sqlite3.Connection) -> None:
    """Raise if SQLite has rolled the transaction back by itself, and a change has kept the fault to itself."""
    if not connection.in_transaction:
        raise sqlite3.OperationalError("the disk failed while it was written")


def _roll_back(transaction: Transaction) -> None:
    transaction.forget_read()
    if transaction.connection.in_transaction:
        transaction.connection.execute("ROLLBACK")
