"""What `run` and `restart` answer."""

from __future__ import annotations

from typing import Any

from rund.api.results import LONGEST_LIST, bounded, plan_map
from rund.handlers.context import Context, Reply
from rund.handlers.reconciling import Outcome
from rund.model.run import Run
from rund.store.reader import Reader


def single_reply(context: Context, reader: Reader, run: Run | None, **plan: list[Any]) -> Reply:
    """The answer for a single run or a trial; None: it is not made, in a dry run."""
    return {
        "run": None if run is None else context.run_map(reader, run),
        "generation": None,
        "trials": None,
        "plan": plan_map(**plan),
        "truncated": False,
        "outdated": 0,
    }


def batch_reply(context: Context, reader: Reader, batch: Run | None, trials: list[str], outcome: Outcome) -> Reply:
    """The answer for a batch with the list that it has committed; lists that are too long are given as counts."""
    plan = {
        "created": outcome.created,
        "restarted": outcome.restarted,
        "skipped": outcome.skipped,
        "kept": outcome.kept,
        "taken_back": outcome.taken_back,
        "orphaned": outcome.orphaned,
        "deleted": outcome.deleted,
    }
    return {
        "run": None if batch is None else context.run_map(reader, batch),
        "generation": None if batch is None else batch.generation,
        "trials": bounded(trials),
        "plan": plan_map(**plan),
        "truncated": max(len(trials), *map(len, plan.values())) > LONGEST_LIST,
        "outdated": outcome.outdated,
    }
