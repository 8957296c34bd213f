"""What ``show`` tells of a batch alone: how its trials stand, its options, and the first of its trials.  Pure."""

from __future__ import annotations

from runctl.screen import short
from runctl.table import lay_out
from runctl.tally import counts_text
from rund.model.values import format_flags

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runctl.answers import BatchOptionsMap, ListAnswer
    from rund.api.results import BatchMap, RunMap

SHOWN = 20  # trials that are shown


def batch_facts(batch: BatchMap, options: BatchOptionsMap) -> Iterator[tuple[str, str | None]]:
    """The names and values that only a batch has."""
    yield "trials", f"{batch['trial_count']}: {counts_text(batch['counts'])}"
    bound = batch["max_trials"]
    yield "optimizer", batch["optimizer"] if bound is None else f"{batch['optimizer']}, at most {bound} trials"
    jobs = options["jobs"]
    yield "jobs", None if jobs is None else f"{jobs} at once"
    yield "retries", str(options["retries"]) if options["retries"] else None
    yield "fail-fast", "yes" if options["fail_fast"] else None
    yield "paused", f"`runctl resume {short(batch['id'])}` lets its trials start" if options["paused"] else None


def trial_lines(batch: RunMap, listed: ListAnswer) -> Iterator[str]:
    """The trials with their statuses and flags, as ``list`` answered the first of them, and how many more there are."""
    runs = listed["runs"]
    if runs:
        yield "trials"
        rows = [(short(run["id"]), run["status"], format_flags(run["flags"])) for run in runs]
        yield from (f"  {line}" for line in lay_out(rows, None))
    if listed["total"] > len(runs):
        yield f"  and {listed['total'] - len(runs)} more: `runctl list --batch {short(batch['id'])}` shows them"
