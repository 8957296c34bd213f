"""Waits for a trial's end, records it, and ends what it leaves behind.

Rules:

- The record is written before anything else is done about an end, and again and again until the disk takes it.
- A stop is SIGTERM to the trial and all below it, once each, and SIGKILL after the grace time until none is left.
- A process moves in the tree when its parent ends, and a look may miss it: at each child's end it is looked again for
  sessions that were not told.  What a session that was told starts to clean up is not told.
- Output is bounded when nothing else is to be done, and once more when nothing can write to it any more.
- It returns only when nothing that the trial started is alive: as a subreaper, the shim then has no child.

The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable

from rund.clock import boottime
from rund.executor.output_bound import OutputBound
from rund.executor.processes import kill_descendants, signal_descendants

AWAITED = frozenset({signal.SIGTERM, signal.SIGCHLD, signal.SIGIO})  # must be blocked

# SIGCONT too, for a stopped process sees SIGTERM only when it goes on.
_TERMINATE = (signal.SIGTERM, signal.SIGCONT)
_LINGER = 2.0  # seconds that what a trial left behind has from SIGTERM to SIGKILL
_RETRY = 1.0  # seconds until the record is tried again
_KILL_AGAIN = (0.02, 1.0)  # seconds between two rounds of SIGKILL, at first and at most
_KIB = 1024


class Supervisor:
    """Sees one trial to its end: `trial`, once it is executed, or none that `end_unexecuted` tells of."""

    def __init__(
        self,
        *,
        grace: float,
        bound: OutputBound,
        time_at: Callable[[float], float],
        record: Callable[[dict[str, object]], None],
    ) -> None:
        """``time_at`` tells seconds since 1970 of a moment in seconds since boot."""
        self.trial: int | None = None  # its process, leader of a session
        self._time_at = time_at
        self._grace = grace
        self._bound = bound
        self._record = record
        self._max_rss = 0
        self._user_time = 0.0
        self._system_time = 0.0
        self._stopped = False
        self._end: dict[str, object] | None = None
        self._recorded = False
        self._retry_at: float | None = None
        self._kill_at: float | None = None
        self._kill_pause = _KILL_AGAIN[0]
        self._killed: set[int] = set()  # processes that the last round of SIGKILL went to
        self._told: set[int] = set()  # sessions whose processes have had SIGTERM

    def end_unexecuted(self, status: int) -> None:
        """Take ``status`` for the end of a trial that was not executed; a signal tells that it was stopped before."""
        self._stopped = os.WIFSIGNALED(status)
        self._end = self._describe(status)

    def supervise(self) -> None:
        """Return when the end is recorded and nothing is left of the trial."""
        while True:
            childless = self._reap()
            self._record_end()
            if self._recorded and childless:
                self._bound.drop()
                return
            if self._recorded and self._kill_at is None:
                self._terminate(min(_LINGER, self._grace))
            elif self._kill_at is not None and not childless:
                self._tell_missed()
            self._kill_if_due()
            self._bound.look_if_due()
            number = self._next_signal()
            if number == signal.SIGTERM:
                self._reap()
                self.stop()
            elif number == signal.SIGIO:
                self._bound.wake()

    def stop(self) -> None:
        """End the trial; that it was told to is kept only if it had not ended by itself before."""
        self._stopped = self._stopped or self._end is None
        if self._kill_at is None:
            self._terminate(self._grace)

    def _reap(self) -> bool:
        """Whether no child is left."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return False
                if self._end is None:
                    self._add_usage(usage)
                # Its number may have been given again since, to something that it left behind: the first end counts.
                if pid == self.trial and self._end is None:
                    self._end = self._describe(status)
        return True

    def _add_usage(self, usage: resource.struct_rusage) -> None:
        # The kernel counts what a process was before it executed its program: no peak is below the shim's own, 9 MB.
        self._max_rss = max(self._max_rss, usage.ru_maxrss * _KIB)
        self._user_time += usage.ru_utime
        self._system_time += usage.ru_stime

    def _describe(self, status: int) -> dict[str, object]:
        moment = boottime()
        return {
            "wait_status": status,
            "exit_status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "core": os.WCOREDUMP(status),
            "stopped": self._stopped,
            "usage": {"max_rss": self._max_rss, "user_time": self._user_time, "system_time": self._system_time},
            "ended": self._time_at(moment),
            "boottime": moment,
        }

    def _record_end(self) -> None:
        if self._end is None or self._recorded or not _is_due(self._retry_at, otherwise=True):
            return
        try:
            self._record(self._end)
        except OSError:  # the disk is full or failing; the end is kept until it can be written
            self._retry_at = time.monotonic() + _RETRY
        else:
            self._recorded, self._retry_at = True, None

    def _terminate(self, patience: float) -> None:
        self._kill_at = time.monotonic() + patience
        # Until it has ended the number is its own.
        group = self.trial if self._end is None else None
        # The others first: when the group's ends, they move.  Then the group at once, so that no fork slips through.
        self._told = signal_descendants(os.getpid(), *_TERMINATE, spare_group=group)
        if group is not None:
            self._told.add(group)
            for number in _TERMINATE:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, number)

    def _tell_missed(self) -> None:
        self._told |= signal_descendants(os.getpid(), *_TERMINATE, spare_sessions=self._told)

    def _kill_if_due(self) -> None:
        if _is_due(self._kill_at, otherwise=False):
            before, self._killed = self._killed, kill_descendants(os.getpid())
            if self._killed <= before:
                # What cannot be ended now, say in a system call that does not return, must not cost a processor.
                self._kill_at = time.monotonic() + self._kill_pause
                self._kill_pause = min(2 * self._kill_pause, _KILL_AGAIN[1])
            # Else at once: what forks all the time is ended when it is met between two forks.

    def _next_signal(self) -> int | None:
        """The signal that came, None if something is due before one came."""
        due = [moment for moment in (self._kill_at, self._retry_at, self._bound.due) if moment is not None]
        if not due:
            return signal.sigwaitinfo(AWAITED).si_signo
        info = signal.sigtimedwait(AWAITED, max(0.0, min(due) - time.monotonic()))
        return info.si_signo if info is not None else None


def _is_due(moment: float | None, *, otherwise: bool) -> bool:
    return otherwise if moment is None else time.monotonic() >= moment
