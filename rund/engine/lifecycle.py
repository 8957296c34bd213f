"""What a run becomes when something happens to it: pure, by the table of `rund.model.status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rund.model.run import Attempt, Run, Spec, Usage
from rund.model.status import ENDED, Change, Status, ending, next_status, withdrawal
from rund.model.values import trial_key, value_key

STOPPING = "stopping"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ended; ``stopped`` is in seconds since 1970; what is not known is None."""

    status: Status
    reason: str | None
    exit_status: int | None = None
    signal: int | None = None
    stopped: float
    usage: Usage | None = None
    scalars: dict[str, float] = field(default_factory=dict)


def queue(run: Run, spec: Spec, *, now: float, place: int) -> Run:
    """``run``, asked to run with ``spec``: it waits at ``place`` and shows nothing of earlier attempts."""
    return replace(
        run,
        spec=spec,
        status=next_status(run.status, Change.QUEUE),
        reason=None,
        queued=now,
        place=place,
        started=None,
        stopped=None,
        exit_status=None,
        signal=None,
        scalars={},
        retried=0,
    )


def retry(run: Run, *, now: float, place: int) -> Run:
    """``run``, which has ended badly, started again by itself, at ``place``: its directory is not emptied again."""
    spec = replace(run.spec, setup=replace(run.spec.setup, clean=False))
    return replace(queue(run, spec, now=now, place=place), retried=run.retried + 1)


def ended_badly(how: End) -> bool:
    """Whether it ended with another code than 0, or by a signal that rund did not send.

    Not so if it was lost or could not be started: trying again, or giving up the others, would not help.
    """
    match how.status:
        case Status.ERROR:
            return how.exit_status is not None
        case Status.TERMINATED:
            return how.reason != STOPPED
        case Status.STAGED | Status.PENDING | Status.RUNNING | Status.COMPLETED:
            return False


def queue_after_end(run: Run, spec: Spec) -> Run:
    """``run``, which is being stopped, asked to run again with ``spec`` when it has ended."""
    return replace(run, next_spec=spec)


def withdraw(run: Run, last: Attempt | None, *, reason: str | None) -> Run:
    """``run``, which was pending, as its last attempt left it; ``staged`` for ``reason`` if it has none.

    What the store has lost of that attempt nobody can tell any more: then it is ``error`` for ``reason``.
    """
    if last is None or last.status not in ENDED:
        status = next_status(run.status, withdrawal(Status.ERROR if run.attempts else None))
        return replace(run, status=status, reason=reason, queued=None, place=None)
    status = next_status(run.status, withdrawal(last.status))
    return replace(
        run,
        spec=last.spec,
        status=status,
        reason=last.reason,
        queued=None,
        place=None,
        started=last.started,
        stopped=last.stopped,
        exit_status=last.exit_status,
        signal=last.signal,
        scalars=last.scalars,
    )


def shows_same_flags(before: Run, after: Run) -> bool:
    """Whether a run shows the flags that it showed before; of another operation's, those that both have count."""
    old, new = before.spec.flags, after.spec.flags
    if old is new:
        return True
    if before.spec.setup.operation == after.spec.setup.operation:
        return trial_key(old) == trial_key(new)
    return all(value_key(old[name]) == value_key(new[name]) for name in old.keys() & new.keys())


def start(
    run: Run, *, now: float, command: Sequence[str] = (), host: str, user: str, boot_id: str
) -> tuple[Run, Attempt]:
    """``run`` and its new attempt, the intent of which is recorded; ``run`` was pending."""
    starts = run.starts + 1
    started = replace(
        run,
        status=next_status(run.status, Change.START),
        reason=None,
        queued=None,
        place=None,
        started=now,
        attempts=run.attempts + 1,
        starts=starts,
    )
    attempt = Attempt(
        number=started.attempts,
        token=f"{run.id}-{starts}",
        spec=run.spec,
        started=now,
        place=run.place or 0,
        command=tuple(command),
        host=host,
        user=user,
        boot_id=boot_id,
    )
    return started, attempt


def stop(run: Run) -> Run:
    """``run``, which is running, being stopped; a restart that waited for its end is withdrawn."""
    return replace(run, stopping=True, reason=STOPPING, next_spec=None)


def end(run: Run, attempt: Attempt, how: End, *, now: float, place: int) -> tuple[Run, Attempt]:
    """``run`` and its attempt, which has ended; queued at ``place`` if a restart waited for that."""
    over = replace(
        attempt,
        status=how.status,
        reason=how.reason,
        stopped=max(how.stopped, attempt.started),
        exit_status=how.exit_status,
        signal=how.signal,
        usage=how.usage,
        scalars=how.scalars,
    )
    ended = replace(
        run,
        status=next_status(run.status, ending(how.status)),
        reason=how.reason,
        started=over.started,
        stopped=over.stopped,
        exit_status=over.exit_status,
        signal=over.signal,
        scalars=over.scalars,
        stopping=False,
        next_spec=None,
    )
    if run.next_spec is None:
        return ended, over
    return queue(ended, run.next_spec, now=now, place=place), over


def never_ran(run: Run, attempt: Attempt, last: Attempt | None, *, now: float) -> Run:
    """``run`` without its last attempt, which is proven never to have run; ``last`` is the one before it.

    It waits again in its old place; if it was being stopped, it is withdrawn, or what waited for its end is queued.
    """
    waiting = replace(
        run,
        status=next_status(run.status, Change.NEVER_RAN),
        reason=None,
        queued=now,
        place=attempt.place,
        started=None,
        attempts=run.attempts - 1,
        stopping=False,
        next_spec=None,
    )
    if run.next_spec is not None:
        return replace(waiting, spec=run.next_spec)
    return withdraw(waiting, last, reason=STOPPED) if run.stopping else waiting
