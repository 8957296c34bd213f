"""Carries out groups of changes in few commits, and finds the way on after a fault of the disk.

Rules:

- A group is one commit; where that cannot be, each is carried out alone, so that one does not spoil the others.
- What a failed flush was to make durable may be on the disk or not, and a second flush proves nothing, for the kernel
  may call it done.  So it is never tried again: the connection is given up, and a commit of no meaning is written over
  what was left in the log.  When that is durable, it is certain that nothing was changed; until then it is not, and
  nothing else is written.
- On a full disk what is urgent is written by the reserve, and nothing else until that is whole again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from rund.clock import now
from rund.errors import FullError, InternalError, RundError
from rund.store.connection import open_writer
from rund.store.directories import Directories
from rund.store.log import Log
from rund.store.reserve import Reserve, is_full
from rund.store.transaction import Transaction

FULL: Final = "the disk that holds rund's home is full"
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
        """Tell who waits."""
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _FlushError(Exception):
    """A commit failed in such a way that nobody can tell yet whether it is there."""


class Committer:
    """The connection that writes to a home's database.  For one thread."""

    def __init__(self, directories: Directories, reserve: Reserve) -> None:
        self._directories = directories
        self._reserve = reserve
        self._transaction: Transaction | None = None
        self._log: Log
        self._given_up: sqlite3.Connection | None = None
        self._unsettled = False
        self.fault: str | None = None  # why not everything can be written now
        self.stops = 0  # how often a run that is being stopped has been written
        if not reserve.make():
            self._note(FULL)

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
            self._give_up()
            return False
        return changed or (fault is not None and self.fault is None)

    def look_again(self) -> bool:
        """Whether the fault that there was is over."""
        try:
            if self._unsettled:
                self._ready()
            if not self._reserve.make():
                return False
            # Whether a commit can be made is told by one.
            self._settle(self._opened())
        except (sqlite3.Error, OSError):
            return False
        self._note(None)
        return True

    def copy_log(self) -> None:
        """Copy the log into the database, if it has grown; see `Log`."""
        if self._transaction is not None and not self._unsettled:
            self._log.copy_if_due()

    def close(self) -> None:
        """Close the connection."""
        self._give_up()
        self._close_given_up()

    def _admitted(self, group: Sequence[Asked]) -> list[Asked]:
        """Those of ``group`` that may be written now."""
        if not self._reserve.short or self._reserve.make():
            return list(group)
        for asked in group:
            if not asked.urgent:
                asked.error = self._full()
        return [asked for asked in group if asked.urgent]

    def _carry_out(self, group: list[Asked]) -> bool:
        if not group:
            return False
        try:
            transaction = self._ready()
            transaction.connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            self._give_up()
            self._note(f"the store cannot be written ({error})")
            return self._refuse(group, self._translated(error))
        transaction.short = self._reserve.short
        before = transaction.connection.total_changes
        try:
            _commit(transaction, self._log, group)
        except _FlushError as error:
            return self._refuse(group, self._settled(error))
        except (sqlite3.Error, OSError) as error:
            _roll_back(transaction)
            return self._carry_out_each(group, error)
        # Only now: who sees it change must find in the store what changed it.
        self.stops += transaction.take_stops()
        if not self._reserve.short:
            self._note(None)
        return transaction.connection.total_changes > before

    def _carry_out_each(self, group: list[Asked], error: sqlite3.Error | OSError) -> bool:
        for asked in group:
            asked.result = asked.error = None
        if len(group) > 1:
            return sum(self._carry_out([asked]) for asked in group) > 0  # all of them, not the first
        if _is_full(error) and group[0].urgent and self._reserve.give_to(self._directories.log):
            return self._carry_out(group)
        return self._refuse(group, self._translated(error))

    def _refuse(self, group: list[Asked], error: RundError) -> bool:
        for asked in group:
            asked.error = asked.error or error
        return False

    def _ready(self) -> Transaction:
        """The transaction's connection, on which it is certain what is there."""
        transaction = self._opened()
        if self._unsettled:
            self._settle(transaction)
            self._unsettled = False
        return transaction

    def _opened(self) -> Transaction:
        if self._transaction is None:
            connection = open_writer(self._directories.database)
            try:
                self._log = Log(connection, self._directories)
                self._transaction = Transaction(connection)
            except BaseException:
                connection.close()
                raise
            # Only now: without any connection the next would read from the log what is not certain.
            self._close_given_up()
        return self._transaction

    def _settle(self, transaction: Transaction) -> None:
        """Write a commit of no meaning over what a failed one may have left in the log."""
        connection = transaction.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            self._give_up()
            raise

    def _settled(self, error: _FlushError) -> RundError:
        """What to tell of a failed flush, after an attempt to make certain that it left nothing."""
        _log.error("a change could not be made durable: %s", error)
        self._unsettled = True
        self._give_up()
        try:
            self._ready()
        except (sqlite3.Error, OSError) as again:
            self._note(f"the store cannot be written ({again})")
            return InternalError(
                f"the disk failed while this was written ({error}), and it is not certain whether it was: "
                "look before you ask again"
            )
        return InternalError(f"the disk failed while this was written ({error}): nothing was changed; try again")

    def _give_up(self) -> None:
        if self._transaction is None:
            return
        connection, self._transaction = self._transaction.connection, None
        self._close_given_up()
        self._given_up = connection
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._close_given_up()  # or its lock would hold up the next

    def _close_given_up(self) -> None:
        connection, self._given_up = self._given_up, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                _log.exception("the connection could not be closed")

    def _translated(self, error: sqlite3.Error | OSError) -> RundError:
        if _is_full(error):
            return self._full()
        # The disk's faults are the user's to mend; where in the code they are met helps nobody.
        fault = None if isinstance(error, OSError | sqlite3.OperationalError) else error
        _log.error("a change could not be written: %s", error, exc_info=fault)
        return InternalError(
            f"the store could not be written ({error}): nothing was changed; the daemon's log tells more"
        )

    def _full(self) -> FullError:
        self._note(FULL)
        return FullError(f"{FULL}: nothing was changed; free some space and try again")

    def _note(self, fault: str | None) -> None:
        """Keep the present fault, and log what is new of it."""
        if fault is not None and self.fault is None:
            _log.error("%s: what cannot be written waits, or is refused", fault)
        if fault is None and self.fault is not None:
            _log.warning("the store can be written again")
        self.fault = fault


def _commit(transaction: Transaction, log: Log, group: list[Asked]) -> None:
    """Carry out a group in the transaction that has begun, and commit it."""
    connection = transaction.connection
    log.begin()
    for asked in group:
        connection.execute("SAVEPOINT change")
        try:
            asked.result = asked.change(transaction)
            transaction.settle(now())
        except (sqlite3.Error, OSError):
            raise
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and is raised there
            asked.error = error
            connection.execute("ROLLBACK TO change")
            transaction.forget_read()
        connection.execute("RELEASE change")
    log.number()
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if _is_full(error):
            raise
        raise _FlushError(str(error)) from error
    log.committed()


def _roll_back(transaction: Transaction) -> None:
    transaction.forget_read()
    if transaction.connection.in_transaction:
        transaction.connection.execute("ROLLBACK")


def _is_full(error: sqlite3.Error | OSError) -> bool:
    if isinstance(error, OSError):
        return is_full(error)
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL
