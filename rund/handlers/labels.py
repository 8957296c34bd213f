"""set: labels and tags."""

from __future__ import annotations

from dataclasses import replace

from rund.api.params import SetParams
from rund.handlers.context import Call, Context, Reply, resolve_all
from rund.model.event import EventKind
from rund.model.run import Run
from rund.store.transaction import Transaction


async def set_attrs(context: Context, call: Call[SetParams]) -> Reply:
    """Change labels and tags of runs."""

    def change(transaction: Transaction) -> Reply:
        runs = resolve_all(transaction, call.params.runs)
        changed = [_changed(run, call.params) for run in runs]
        for run in changed:
            transaction.save_run(run)
            transaction.set_tags(run.id, run.tags)
        if changed:
            transaction.add_event(EventKind.CHANGED, context.now(), [run.id for run in changed])
        return {"runs": [context.run_map(transaction, run) for run in changed]}

    return await context.change(call.request, change)


def mark(transaction: Transaction, run: Run, *, label: str | None, tags: list[str], now: float) -> Run:
    """Give a run that is there already the ``label``, unless None, and ``tags`` besides; answers it as it is then."""
    if label is None and not tags:
        return run
    marked = _changed(run, SetParams(runs=[], label=label, add_tags=tags))
    if marked != run:
        transaction.save_run(marked)
        transaction.set_tags(run.id, marked.tags)
        transaction.add_event(EventKind.CHANGED, now, [run.id])
    return marked


def _changed(run: Run, params: SetParams) -> Run:
    label = run.label if params.label is None else params.label or None
    tags = (set(run.tags) | set(params.add_tags)) - set(params.remove_tags)
    return replace(run, label=label, tags=tuple(sorted(tags)))
