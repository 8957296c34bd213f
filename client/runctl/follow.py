"""Follows a single run to its end: says what happens on standard error, copies its output to standard output.

Following ends when the run is neither running nor pending, also across restarts by others: a new attempt is followed.
It polls, and never subscribes: whoever reads the output slowly must not have events pile up.

How a batch is followed stands in `runctl.batch_follow`.
"""

from __future__ import annotations

from runctl.ending import ending_line, is_live, run_exit_status
from runctl.failures import INCOMPLETE, INTERRUPTED, NoDaemonError
from runctl.output import copy_output
from runctl.screen import described, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import EventsAnswer, ShowAnswer
    from runctl.connection import Connection
    from rund.api.results import RunMap

_SOON = 0.5  # seconds that a run may wait without a word about it
_PATIENCE = 60.0  # seconds that one request waits for events; then it is asked again


def follow(daemon: Connection, run: RunMap, last: int, *, copied: int, resume: int | None = None) -> int:
    """Follow ``run``, as it was at event ``last`` or later, and answer its exit status.

    The output of attempts after number ``copied`` is shown, also of those that are over already.  With ``resume`` that
    of attempt ``copied`` too, from that byte on.  Ctrl-C ends the following, not the run.
    """
    name = short(run["id"])
    try:
        if resume is not None:
            copy_output(daemon, run["id"], copied, offset=resume, follow=True)
            run = _look(daemon, run["id"])["run"]
        return _follow(daemon, run, last, copied)
    except KeyboardInterrupt:
        say(f"Detached from {name}, which goes on: `runctl logs -f {name}` comes back to it")
        return INTERRUPTED
    except NoDaemonError:
        raise NoDaemonError(f"the daemon is gone; {name} goes on: `runctl logs -f {name}` comes back to it") from None


def _follow(daemon: Connection, run: RunMap, last: int, copied: int) -> int:
    awaited = copied
    told = False  # why it waits
    while True:
        if run["attempts"] > copied:
            copied += 1
            say(f"Running {described(run)}")
            copy_output(daemon, run["id"], copied, follow=True)
            told = False
        elif is_live(run):
            awaited = run["attempts"] + (run["status"] == "pending")
            changed, last = _wait_for_event(daemon, run["id"], last, _PATIENCE if told else _SOON)
            if not (changed or told):
                told = _say_why_it_waits(_look(daemon, run["id"]))
        else:
            return _report_end(daemon, run, awaited)
        run = _look(daemon, run["id"])["run"]


def _look(daemon: Connection, run_id: str) -> ShowAnswer:
    seen: ShowAnswer = daemon.call("show", run=run_id)
    return seen


def _report_end(daemon: Connection, run: RunMap, awaited: int) -> int:
    """Say how ``run`` ended, unless it completed, and answer its exit status; attempt ``awaited`` was waited for."""
    if run["attempts"] < awaited:
        say(f"Run {short(run['id'])} was withdrawn before it started{_because(run)}")
        return INCOMPLETE
    line = ending_line(run)
    if line is not None:
        say(line)
        hint = _look(daemon, run["id"])["hint"]
        if hint:
            say(hint)
    return run_exit_status(run)


def _because(run: RunMap) -> str:
    return f": {run['reason']}" if run["reason"] and run["status"] == "staged" else ""


def _wait_for_event(daemon: Connection, run_id: str, last: int, timeout: float) -> tuple[bool, int]:
    """Whether something happened to the run after event ``last``, within ``timeout``; and the last event seen."""
    answer: EventsAnswer = daemon.call("events", after=last, timeout=timeout)
    changed = answer["reset"] or any(run_id in event["runs"] for event in answer["events"])
    return changed, answer["last"]


def _say_why_it_waits(seen: ShowAnswer) -> bool:
    """Whether there is nothing more to say; of a run that waits for nothing but its start there may be, later."""
    name = short(seen["run"]["id"])
    if seen["run"]["status"] == "pending":
        if seen["waits_for"] is None:
            return False
        say(f"Pending {name}: {seen['waits_for']}")
    elif seen["run"]["reason"] == "stopping":
        say(f"Pending {name}: it is being stopped first")
    return True
