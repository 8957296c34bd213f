"""``runctl list``: lists runs, or the trials of a batch."""

from __future__ import annotations

from runctl.arguments import WHOLE, Arguments, Command, Option
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import plain, put, put_json, say, short, width
from runctl.table import lay_out
from runctl.times import minute
from rund.model.values import format_batch_flags, format_flags

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rund.api.results import RunMap

_HEADER = ("id", "operation", "time", "status", "flags")
_SHORT_REASON = 20


def list_runs(arguments: Arguments) -> int:
    """List the runs that the options select."""
    statuses = [status for given in arguments.many("status") for status in given.split(",")]
    with reach_for(arguments) as daemon:
        answer = daemon.call(
            "list",
            status=statuses or None,
            operation=arguments.text("op"),
            label=arguments.text("label"),
            tag=arguments.text("tag"),
            batch=arguments.text("batch"),
            orphans=arguments.flag("orphans") or None,
            trash=arguments.flag("trash") or None,
            limit=arguments.number("n"),
        )
    if arguments.flag("json"):
        put_json(answer)
    elif answer["runs"]:
        columns = width()
        put("\n".join(run_lines(answer["runs"], columns)))
        if answer["next"] and columns is not None:
            say(f"{len(answer['runs'])} of {answer['total']} runs; -n N shows more")
    else:
        say("No runs.")
    return DONE


def run_lines(runs: Sequence[RunMap], columns: int | None) -> list[str]:
    """A header and one line per run, cut to ``columns``: the flags stand last, so they are what is cut."""
    return lay_out([_HEADER, *map(_row, runs)], columns)


def _flags(run: RunMap) -> str:
    return (format_batch_flags if run["operation"].endswith("+") else format_flags)(run["flags"])


def _row(run: RunMap) -> tuple[str, ...]:
    """The cells of one run; its time is its start, or where it has none when it was made."""
    reason = run["reason"]
    status = f"{run['status']} ({reason})" if reason and len(reason) <= _SHORT_REASON else run["status"]
    began = run["created"] if run["started"] is None else run["started"]
    cells = (short(run["id"]), run["operation"], minute(began), status, _flags(run))
    return tuple(plain(cell).replace("\n", " ") for cell in cells)


COMMANDS = {
    "list": Command(
        "list",
        "",
        "List runs, the newest start first.",
        action=list_runs,
        most=0,
        example="runctl list --status error,terminated --op train.py",
        options=(
            Option("--status", value="S", many=True, meaning="only runs of this status; several with commas"),
            Option("--op", value="NAME", param="operation", meaning="only runs of this operation"),
            Option("--label", value="TEXT", meaning="only runs with this label"),
            Option("--tag", value="TAG", meaning="only runs with this tag"),
            Option("--batch", value="BATCH", meaning="the trials of this batch, in its order"),
            Option("--orphans", meaning="only runs that a batch made and no longer lists; with --batch: of that batch"),
            Option("--trash", meaning="runs in the trash"),
            Option("-n", value="N", kind=WHOLE, param="limit", meaning="no more than N (default: 20)"),
        ),
    )
}
