"""What follows the daemon's answer to a ``run`` or ``restart`` of a batch: what is said, shown or followed."""

from __future__ import annotations

import os

from runctl.batch_plan import SHOWN, named_in, outdated_line, plan_lines
from runctl.ending import is_live
from runctl.failures import DONE, INCOMPLETE
from runctl.gpu import HINT, is_gpu_seen
from runctl.looking import look_up
from runctl.screen import put, say, short
from runctl.tally import all_completed, counts_text, summary

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import RunAnswer, ShowAnswer, StatusAnswer
    from runctl.arguments import Arguments
    from runctl.connection import Connection
    from rund.api.results import BatchMap


def carry_on_batch(arguments: Arguments, daemon: Connection, answer: RunAnswer, last: int) -> int:
    """Do what ``arguments`` want after ``answer``, which came after event ``last``; answers the exit status."""
    batch: BatchMap | None = answer["run"]  # type: ignore[assignment]  # a batch's answer has a batch
    if arguments.flag("print-trials"):
        return _print_trials(answer)
    if arguments.flag("dry-run") or batch is None:
        _say_plan(daemon, answer, would=True)
        return DONE
    if is_live(batch) and is_gpu_seen(os.environ) and _may_overlap(daemon, batch):
        say(HINT)
    if arguments.flag("detach"):
        put(short(batch["id"]))
        return DONE
    if arguments.flag("stage"):
        _say_plan(daemon, answer)
        name = short(batch["id"])
        then = f"; `runctl start {name}` starts what is staged" if batch["counts"]["staged"] else ""
        say(f"Batch {name} is {batch['status']}: {counts_text(batch['counts'])}{then}")
        return DONE
    _say_plan(daemon, answer)
    if is_live(batch):
        from runctl.batch_follow import follow_batch

        return follow_batch(daemon, batch, last, generation=answer["generation"], alone=_room(daemon, batch)[0])
    say(summary(batch))
    return DONE if all_completed(batch) else INCOMPLETE


def _room(daemon: Connection, batch: BatchMap) -> tuple[bool, int | None]:
    """Whether only one trial can run at a time, and the batch's own bound if it has one."""
    asked = daemon.send("status")
    seen: ShowAnswer = daemon.call("show", run=batch["id"])
    status: StatusAnswer = daemon.answer(asked)
    options = seen["batch_options"]
    jobs = None if options is None else options["jobs"]
    return jobs == 1 or status["slots"] // max(seen["slots"], 1) <= 1, jobs


def _may_overlap(daemon: Connection, batch: BatchMap) -> bool:
    """Whether several trials may run at once, and nobody has said how many."""
    alone, jobs = _room(daemon, batch)
    return jobs is None and not alone


def _say_plan(daemon: Connection, answer: RunAnswer, *, would: bool = False) -> None:
    batch, plan, trials = answer["run"], answer["plan"], answer["trials"]
    if isinstance(trials, int) and batch is not None:
        listed = [run["id"] for run in daemon.call("list", batch=batch["id"], limit=SHOWN)["runs"]]
        named = named_in(plan, listed=listed, total=trials)
    else:
        named = named_in(plan)
    runs = look_up(daemon, list(dict.fromkeys(each for ids in named.values() for each in ids)))
    for line in plan_lines(plan, named, runs, would=would):
        say(line)
    outdated = outdated_line(answer["outdated"])
    if outdated is not None:
        say(outdated)


def _print_trials(answer: RunAnswer) -> int:
    """Print a line of flags for each trial that would be made."""
    from rund.model.values import format_flags

    made = answer["plan"]["created"]
    if isinstance(made, int):
        say(f"{made} trials are too many to print: --max-trials N makes fewer")
        return INCOMPLETE
    for each in made:
        put(each if isinstance(each, str) else format_flags(each))
    for kind in ("restarted", "skipped", "kept"):
        others = answer["plan"][kind]
        number = others if isinstance(others, int) else len(others)
        if number:
            say(f"{number} that {'is' if number == 1 else 'are'} there already would be {kind}")
    return DONE
