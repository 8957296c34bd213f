"""Which pending runs start now: pure."""

from __future__ import annotations

from collections.abc import Iterable

from rund.model.run import Run


def schedule(pending: Iterable[Run], *, slots: int, used: int, limit: int) -> list[Run]:
    """The runs of ``pending`` that start now, at most ``limit``.

    ``pending`` comes in the order in which they start, and is read only as far as needed.  ``used`` of ``slots``
    are taken.  A run that waits for several slots keeps its place, and nothing younger passes it.
    """
    chosen: list[Run] = []
    free = slots - used
    if free <= 0:
        return chosen
    for run in pending:
        # More than there are was refused; but the number of slots may have been lowered since.
        wanted = min(run.spec.setup.slots, slots)
        if wanted > free or len(chosen) == limit:
            break
        chosen.append(run)
        free -= wanted
        if free == 0:
            break
    return chosen


def waits_for(run: Run, *, slots: int, used: int, paused: bool, ahead: int) -> str:
    """What a pending run waits for, in words; ``ahead`` runs stand before it."""
    if paused:
        return "paused: runctl resume lets it start"
    wanted = min(run.spec.setup.slots, slots)
    what = "a slot" if wanted == 1 else f"{wanted} slots"
    before = "" if ahead == 0 else f", after {ahead} {'run' if ahead == 1 else 'runs'}"
    return f"waits for {what}: {used} of {slots} are taken{before}"
