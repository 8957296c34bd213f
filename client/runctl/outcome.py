"""What follows the daemon's answer to ``run`` and ``restart``: what is said, shown or followed."""

from __future__ import annotations

from runctl.ending import is_live
from runctl.failures import DONE
from runctl.follow import follow
from runctl.screen import described, put, put_json, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from runctl.answers import RunAnswer
    from runctl.arguments import Arguments
    from runctl.connection import Connection
    from rund.api.results import RunMap


class Asked:
    """Around what asks for a change and awaits the answer: Ctrl-C says that the change may be made all the same."""

    def __init__(self, arguments: Arguments) -> None:
        self._changes = not (arguments.flag("dry-run") or arguments.flag("print-trials"))

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is KeyboardInterrupt and self._changes:
            say("Interrupted before the daemon had answered: it may do it all the same, `runctl list` shows it then")


def carry_on(arguments: Arguments, daemon: Connection, answer: RunAnswer, last: int) -> int:
    """Do what ``arguments`` want after ``answer``, which came after event ``last``; answers the exit status."""
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    if answer.get("trials") is not None:
        from runctl.batch_outcome import carry_on_batch

        return carry_on_batch(arguments, daemon, answer, last)
    run = answer["run"]
    plan: dict[str, list[Any]] = {
        part: ids for part, ids in answer["plan"].items() if isinstance(ids, list)
    }  # of one run: never counts
    if arguments.flag("print-trials"):
        _print_flags(plan["created"])
        return DONE
    if arguments.flag("dry-run") or run is None:
        _say_plan(run, plan)
        return DONE
    skipped = run["id"] in plan["skipped"]
    if skipped:
        say(_skipping(run["id"]))
    if arguments.flag("detach"):
        put(short(run["id"]))
        return DONE
    if skipped:
        return DONE
    if run["id"] in plan["kept"]:
        say(f"Keeping {short(run['id'])} because it is {run['status']} (--needed)")
    if is_live(run):
        # What runs already is shown from its beginning, unless it is what a restart waits to see the end of.
        shown = run["status"] == "running" and run["id"] not in plan["restarted"]
        return follow(daemon, run, last, copied=run["attempts"] - shown)
    how = f", `runctl start {short(run['id'])}` starts it" if run["status"] == "staged" else ""
    say(f"{run['status'].capitalize()} {described(run)}{how}")
    return DONE


def _print_flags(made: list[Any]) -> None:
    from rund.model.values import format_flags

    for flags in made:
        put(format_flags(flags))


def _say_plan(run: RunMap | None, plan: Mapping[str, list[Any]]) -> None:
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
