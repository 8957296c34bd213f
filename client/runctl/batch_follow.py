"""Follows a batch to its end: its trials' starts and ends on standard error, their output on standard output.

- It polls events, and reads outputs without waiting: requests and memory are bounded by what runs, not by the batch.
- What ended before it was looked at is shown whole, however short it was.
- Where only one trial can run at a time, one's output comes right after its line; else lines carry short ids.
- It ends when the batch is neither running nor pending, also across restarts by others.
"""

from __future__ import annotations

import select
import time

from runctl.batch_watch import BatchWatch
from runctl.display import Display
from runctl.ending import is_live, trial_ending_line
from runctl.failures import DONE, INCOMPLETE, INTERRUPTED, NoDaemonError
from runctl.looking import look_up
from runctl.screen import described, short
from runctl.shown import Ending, Shown, copy_outputs
from runctl.tally import all_completed, done_count, progress, seconds_left, summary

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runctl.answers import EventsAnswer, ShowAnswer
    from runctl.batch_watch import Told
    from runctl.connection import Connection
    from rund.api.results import BatchMap, EventMap, RunMap

_PACE = 0.03  # seconds between two looks at events, so that one look tells of many short trials
_SHORTEST, _LONGEST = 0.05, 0.5  # seconds between two looks at outputs; longer while nothing is written
_PER_ATTEMPT = 0.01  # seconds more for each attempt that is looked at
_SOON = 1.0  # seconds that a batch may wait without a word about it, and that a live line may stand still
_PATIENCE = 60.0  # seconds that one request waits for events; then it is asked again
_MOST_BEHIND = 100  # attempts that wait for the one that is shown, before all are shown at once


def follow_batch(daemon: Connection, batch: BatchMap, last: int, *, generation: int | None, alone: bool) -> int:
    """Follow ``batch`` from the list of ``generation`` on, committed after event ``last``; answers the exit status.

    ``alone``: only one trial can run at a time.  Ctrl-C ends the following, not the batch.
    """
    name = short(batch["id"])
    back = f"`runctl wait {name}` waits for it, `runctl list --batch {name}` shows it"
    display = Display()
    try:
        return _Follower(daemon, display, batch, last, generation, alone=alone).follow()
    except KeyboardInterrupt:
        display.say(f"Detached from batch {name}, which goes on: {back}")
        return INTERRUPTED
    except NoDaemonError:
        raise NoDaemonError(f"the daemon is gone; batch {name} goes on: {back}") from None
    finally:
        display.clear()


class _Follower:
    """The state of one following."""

    def __init__(
        self, daemon: Connection, display: Display, batch: BatchMap, last: int, generation: int | None, *, alone: bool
    ) -> None:
        self._daemon = daemon
        self._display = display
        self._batch = batch
        self._last = last
        self._watch = BatchWatch(batch["id"], generation)
        self._alone = alone
        self._shown: list[Shown] = []  # in the order of their starts
        self._latest: dict[str, Shown] = {}  # by trial
        self._interval = _SHORTEST
        self._next_copy = 0.0
        self._more = False  # output that is there already
        self._resting = False
        self._stale = False  # the batch has changed since it was looked at
        self._told_why = False  # it waits
        self._hinted = False
        self._begun = time.monotonic()
        self._done_before = done_count(batch["counts"])

    def follow(self) -> int:
        """Follow it to its end, and answer the exit status."""
        while True:
            self._draw()
            told = self._read_events()
            self._take(told)
            self._copy()
            if told.forgotten:
                self._display.say(f"Batch {short(self._batch['id'])} was deleted")
                return INCOMPLETE
            if told.is_over or (self._resting and told.anything):
                self._look()
                self._resting = not is_live(self._batch)
            elif self._resting:
                return self._end()
            elif not (told.anything or self._shown or self._told_why):
                self._say_why_it_waits()

    # Events

    def _read_events(self) -> Told:
        answer: EventsAnswer = self._daemon.call("events", after=self._last, timeout=self._patience())
        self._last = answer["last"]
        told = self._watch.read(answer, self._latest)
        if told.changes and not self._resting:
            select.select((), (), (), _PACE)
        return told

    def _patience(self) -> float:
        if self._resting or self._more:
            return 0.0
        if self._display.is_missing:
            return _SHORTEST
        if self._shown:
            return max(self._next_copy - time.monotonic(), 0.0)
        return _SOON if self._display.is_live or not self._told_why else _PATIENCE

    def _take(self, told: Told) -> None:
        self._stale |= told.anything
        started = dict.fromkeys(run_id for run_id, event in told.changes if event["kind"] == "started")
        runs = look_up(self._daemon, list(started))
        for run_id, event in told.changes:
            if event["kind"] == "ended":
                self._end_one(run_id, event)
            elif run_id in runs:
                self._start_one(runs[run_id], event)
        if told.reset:
            for shown in self._shown:
                self._look_whether_over(shown)
            self._resting = True  # if so, nothing will tell: it is looked at

    def _start_one(self, run: RunMap, event: EventMap) -> None:
        attempt = self._attempt_of(run, event)
        before = self._latest.get(run["id"])
        if attempt is None or (before is not None and before.attempt == attempt):
            return
        shown = Shown(run, attempt)
        self._shown.append(shown)
        self._latest[run["id"]] = shown
        self._next_copy = 0.0
        self._interval = _SHORTEST
        self._told_why = True
        if self._alone and len(self._shown) > _MOST_BEHIND:
            self._alone = False  # by others: its options have changed
        if not self._alone:
            for each in self._shown:
                self._announce(each)

    def _attempt_of(self, run: RunMap, event: EventMap) -> int | None:
        """The number of the attempt that ``event`` tells the start of; None if it never ran."""
        began = run["started"]
        if run["attempts"] <= 1:
            return run["attempts"] or None
        if run["status"] == "running" and began is not None and began <= event["time"]:
            return run["attempts"]
        for attempt in self._show(run["id"])["attempts"]:
            stopped = attempt["stopped"]
            if stopped is None or stopped >= event["time"]:
                return attempt["attempt"]
        return None

    def _end_one(self, run_id: str, event: EventMap) -> None:
        ending = Ending(event["status"], event["reason"])
        shown = self._latest.get(run_id)
        if shown is not None and shown.ending is None:
            shown.ending = ending
        else:  # of an attempt that began before the request
            self._say_end(run_id, ending)

    def _look_whether_over(self, shown: Shown) -> None:
        for attempt in self._show(shown.run["id"])["attempts"]:
            if attempt["attempt"] == shown.attempt and attempt["status"] != "running":
                shown.ending = Ending(attempt["status"], attempt["reason"])

    def _show(self, run_id: str) -> ShowAnswer:
        seen: ShowAnswer = self._daemon.call("show", run=run_id)
        return seen

    # Output

    def _announce(self, shown: Shown) -> None:
        if not shown.is_announced:
            shown.is_announced = True
            if not self._alone:
                shown.prefix()
            self._display.say(f"Running trial {described(shown.run)}")

    def _copy(self) -> None:
        """Write what there is of outputs that are due."""
        now = time.monotonic()
        due = now >= self._next_copy
        some, self._more = self._copy_alone() if self._alone else self._copy_all(due=due)
        if due or some:
            slower = max(min(self._interval * 1.5, _LONGEST), _PER_ATTEMPT * len(self._shown))
            self._interval = _SHORTEST if some and self._alone else slower
            self._next_copy = now + self._interval

    def _copy_alone(self) -> tuple[bool, bool]:
        """Write the output of the first, and where that is over of the next."""
        some = more = False
        while self._shown:
            first = self._shown[0]
            self._announce(first)
            any_now, more = copy_outputs(self._daemon, self._display, [first])
            some |= any_now
            if not first.is_over:
                break
            self._finish([first])
        return some, more

    def _copy_all(self, *, due: bool) -> tuple[bool, bool]:
        wanted = [each for each in self._shown if due or each.ending is not None]
        copied = copy_outputs(self._daemon, self._display, wanted)
        self._finish([each for each in wanted if each.is_over])
        return copied

    def _finish(self, over: Sequence[Shown]) -> None:
        for each in over:
            if each.prefixer is not None:
                self._display.write_lines(each.prefixer.finish())
            if each.ending is not None:
                self._say_end(each.run["id"], each.ending)
            if self._latest.get(each.run["id"]) is each:
                del self._latest[each.run["id"]]
        if over:
            self._shown = [each for each in self._shown if each not in over]

    def _say_end(self, run_id: str, ending: Ending) -> None:
        line = trial_ending_line(run_id, ending.status, ending.reason)
        if line is None:
            return
        self._display.say(line)
        if ending.status == "error" and not self._hinted:
            self._hinted = True  # one is enough: the others lack the same
            found = look_up(self._daemon, [run_id])
            hint = self._show(run_id)["hint"] if found else None
            if hint:
                self._display.say(hint)

    # The batch

    def _look(self) -> None:
        found = look_up(self._daemon, [self._batch["id"]])
        self._batch = found.get(self._batch["id"], self._batch)
        self._stale = False

    def _draw(self) -> None:
        now = time.monotonic()
        if self._display.is_due(now):
            if self._stale:
                self._look()
            counts = self._batch["counts"]
            left = seconds_left(counts, done_before=self._done_before, elapsed=now - self._begun)
            self._display.draw(progress(self._batch, left), now)

    def _say_why_it_waits(self) -> None:
        self._told_why = True
        listed = {"batch": self._batch["id"], "limit": 1}
        # Asked in this order: one that starts between the two is among both, and not what others are said to wait for.
        waiting = self._daemon.call("list", status=["pending"], **listed)["runs"]
        if self._daemon.call("list", status=["running"], **listed)["runs"]:
            return
        for run in waiting:
            why = self._show(run["id"])["waits_for"]
            if why is None:  # it waits for nothing but its start, now
                self._told_why = False
            else:
                self._display.say(f"Pending trial {short(run['id'])}: {why}")

    def _end(self) -> int:
        self._finish([each for each in self._shown if each.is_over])
        self._look()
        self._display.say(summary(self._batch))
        return DONE if all_completed(self._batch) else INCOMPLETE
