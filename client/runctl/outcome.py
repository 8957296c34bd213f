"""What follows the daemon's answer to ``run`` and ``restart``: what is said, shown or followed."""

from __future__ import annotations

from runctl.ending import is_live
from runctl.failures import DONE
from runctl.follow import follow
from runctl.screen import described, put, put_json, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import RunAnswer
    from runctl.arguments import Arguments
    from runctl.connection import Connection
    from rund.api.results import PlanMap, RunMap


def carry_on(arguments: Arguments, daemon: Connection, answer: RunAnswer, last: int) -> int:
    """Do what ``arguments`` want after ``answer``, which came after event ``last``; answers the exit status."""
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    run = answer["run"]
    if arguments.flag("dry-run") or run is None:
        _say_plan(run, answer["plan"])
        return DONE
    skipped = run["id"] in answer["plan"]["skipped"]
    if skipped:
        say(_skipping(run["id"]))
    if arguments.flag("detach"):
        put(short(run["id"]))
        return DONE
    if skipped:
        return DONE
    if run["id"] in answer["plan"]["kept"]:
        say(f"Keeping {short(run['id'])} because it is {run['status']} (--needed)")
    if is_live(run):
        # What runs already is shown from its beginning, unless it is what a restart waits to see the end of.
        shown = run["status"] == "running" and run["id"] not in answer["plan"]["restarted"]
        return follow(daemon, run, last, copied=run["attempts"] - shown)
    how = f", `runctl start {short(run['id'])}` starts it" if run["status"] == "staged" else ""
    say(f"{run['status'].capitalize()} {described(run)}{how}")
    return DONE


def _say_plan(run: RunMap | None, plan: PlanMap) -> None:
    """Say what would happen."""
    from rund.model.values import format_flags

    for made in plan["created"]:
        say(f"Would make a run ({made if isinstance(made, str) else format_flags(made)})")
    for run_id in plan["restarted"]:
        say(f"Would restart {described(run) if run is not None and run['id'] == run_id else short(run_id)}")
    for run_id in plan["skipped"]:
        say(f"Would skip {short(run_id)}: it is completed and its flags have not changed (--needed)")
    for run_id in plan["kept"]:
        say(f"Would keep {short(run_id)} as it is")


def _skipping(run_id: str) -> str:
    return f"Skipping {short(run_id)} because it is completed and its flags have not changed (--needed)"
