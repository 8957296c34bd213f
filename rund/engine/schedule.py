"""Which pending runs start now: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rund.model.run import Run


def schedule(
    pending: Iterable[Run], *, slots: int, used: int, limit: int, room: Mapping[str, int] | None = None
) -> list[Run]:
    """The runs of ``pending`` that start now, at most ``limit``.

    ``pending`` comes in the order in which they start, and is read only as far as needed.  ``used`` of ``slots``
    are taken.  A run that waits for several slots keeps its place, and nothing younger passes it.  ``room`` tells how
    many trials more of a batch may run, where that is bounded: a run that waits only for that holds up no other.
    """
    chosen: list[Run] = []
    left = dict(room or {})
    free = slots - used
    if free <= 0:
        return chosen
    for run in pending:
        if run.batch is not None and left.get(run.batch, 1) <= 0:
            continue
        # More than there are was refused; but the number of slots may have been lowered since.
        wanted = min(run.spec.setup.slots, slots)
        if wanted > free or len(chosen) == limit:
            break
        chosen.append(run)
        if run.batch in left:
            left[run.batch] -= 1
        free -= wanted
        if free == 0:
            break
    return chosen


def short_wait(run: Run, *, paused: bool, batch_full: bool) -> str:
    """The reason that a pending run shows; ``batch_full``: its batch runs as many trials as it may."""
    if paused:
        return "paused"
    if batch_full:
        return "waits for its batch"
    slots = run.spec.setup.slots
    return "waits for a slot" if slots == 1 else f"waits for {slots} slots"


def waits_for(run: Run, *, slots: int, used: int, paused: bool, ahead: int, jobs: int | None = None) -> str | None:
    """What a pending run waits for, in words; None: for nothing but its start.

    ``ahead`` runs stand before it; ``jobs``: its batch runs so many trials now, as many as it may.
    """
    if paused:
        return "paused: runctl resume lets it start"
    if jobs is not None:
        return f"waits for its batch, which runs {jobs} {'trial' if jobs == 1 else 'trials'} at once (--jobs)"
    wanted = min(run.spec.setup.slots, slots)
    if ahead == 0 and used + wanted <= slots:
        return None
    what = "a slot" if wanted == 1 else f"{wanted} slots"
    before = "" if ahead == 0 else f", after {ahead} {'run' if ahead == 1 else 'runs'}"
    return f"waits for {what}: {used} of {slots} are taken{before}"
