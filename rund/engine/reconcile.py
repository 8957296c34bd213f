"""What a restart of a batch does with each trial: pure.

Rules (steps 3 to 7 of the specification's section 5):

- A generated trial is matched by a run of equal flags that the batch made.  Each run is claimed at most once: current
  trials first, then orphans by the time they were made; of each kind, completed ones first.
- A matched trial keeps its id.  The others are made.
- A current trial that nothing matched is set free: deleted if it never started, withdrawn if it waits, else untouched.
- Without ``needed`` nothing that is listed or taken back may be live.  A run that is being stopped counts as ended,
  unless a restart waits for its end already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from rund.model.status import Status

Key = TypeVar("Key", bound=object)


class TrialAction(StrEnum):
    """What is done with a generated trial."""

    CREATE = "create"  # nothing matched: it is made
    QUEUE = "queue"  # it runs again, in place
    QUEUE_AFTER_END = "queue-after-end"  # it is being stopped: it runs again when it has ended
    SKIP = "skip"  # it is completed, and only what is needed was asked for
    KEEP = "keep"  # it runs or waits, or is only to be staged: it is left as it is


class FreedAction(StrEnum):
    """What is done with a current trial that nothing matched."""

    DELETE = "delete"  # it never started
    WITHDRAW = "withdraw"  # it waits to run again: that is undone
    LEAVE = "leave"  # it runs or has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Generic[Key]):
    """A run that the batch made; ``key`` is equal for equal flags."""

    id: str
    key: Key
    status: Status
    started: bool  # it has an attempt
    stopping: bool = False
    requeued: bool = False  # it is being stopped, and a restart waits for its end

    @property
    def live(self) -> bool:
        """Whether it runs or waits, and is not about to end."""
        match self.status:
            case Status.PENDING:
                return True
            case Status.RUNNING:
                return not self.stopping or self.requeued
            case Status.STAGED | Status.COMPLETED | Status.ERROR | Status.TERMINATED:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done with one generated trial."""

    action: TrialAction
    id: str | None = None  # None: it is made
    taken_back: bool = False  # it was an orphan


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a restart does: one decision for each generated trial, in order, and what becomes of the rest."""

    decisions: tuple[Decision, ...]
    freed: tuple[tuple[str, FreedAction], ...]
    busy: tuple[str, ...]  # live runs that forbid it; empty: it may be carried out


def reconcile(
    current: Sequence[Known[Key]],
    orphans: Sequence[Known[Key]],
    generated: Iterable[Key],
    *,
    needed: bool,
    stage: bool = False,
) -> Plan:
    """The plan for a batch that lists ``current`` in order and once made ``orphans``, in the order of their making.

    ``generated`` are the keys of its trials from now on, in order.  ``needed``: completed trials are skipped, and live
    ones left as they are.  ``stage``: nothing is queued.
    """
    claimable = _claimable(current, orphans)
    claimed: set[str] = set()
    decisions: list[Decision] = []
    busy = [] if needed else [run.id for run in current if run.live]
    for key in generated:
        candidates = claimable.get(key)
        if not candidates:
            decisions.append(_CREATE)
            continue
        run, orphan = candidates.popleft()
        claimed.add(run.id)
        if orphan and run.live and not needed:
            busy.append(run.id)
        decisions.append(Decision(action=_action(run, needed=needed, stage=stage), id=run.id, taken_back=orphan))
    freed = tuple((run.id, _freed(run)) for run in current if run.id not in claimed)
    return Plan(decisions=tuple(decisions), freed=freed, busy=tuple(busy))


_CREATE = Decision(action=TrialAction.CREATE)


def _claimable(
    current: Sequence[Known[Key]], orphans: Sequence[Known[Key]]
) -> dict[Key, deque[tuple[Known[Key], bool]]]:
    """The runs to claim for each key, the first to be claimed first, and whether each is an orphan."""
    found: dict[Key, deque[tuple[Known[Key], bool]]] = {}
    for kind, orphan in ((current, False), (orphans, True)):
        for completed in (True, False):
            for run in kind:
                if (run.status is Status.COMPLETED) is completed:
                    found.setdefault(run.key, deque()).append((run, orphan))
    return found


def _action(run: Known[Key], *, needed: bool, stage: bool) -> TrialAction:
    if stage or run.live:
        return TrialAction.KEEP
    match run.status:
        case Status.RUNNING:
            return TrialAction.QUEUE_AFTER_END
        case Status.COMPLETED:
            return TrialAction.SKIP if needed else TrialAction.QUEUE
        case Status.PENDING | Status.STAGED | Status.ERROR | Status.TERMINATED:
            return TrialAction.QUEUE


def _freed(run: Known[Key]) -> FreedAction:
    if not run.started:
        return FreedAction.DELETE
    if run.status is Status.PENDING or run.requeued:
        return FreedAction.WITHDRAW
    return FreedAction.LEAVE
