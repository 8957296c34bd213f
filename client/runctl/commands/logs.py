"""``runctl logs``: shows a run's output, and follows it."""

from __future__ import annotations

from runctl.arguments import WHOLE, Arguments, Command, Option
from runctl.failures import DONE, UsageError
from runctl.follow import follow
from runctl.output import copy_output, tail_offset
from runctl.reach import reach_for
from runctl.screen import put_json, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.answers import ShowAnswer
    from runctl.connection import Connection
    from rund.api.results import RunMap


def logs(arguments: Arguments) -> int:
    """Write the output of the run's attempt; with ``-f`` follow it, and answer the run's own exit status."""
    attempt = arguments.number("attempt")
    if arguments.flag("follow") and attempt is not None:
        raise UsageError("--attempt shows one attempt and -f follows the run: give one of them")
    with reach_for(arguments) as daemon:
        if arguments.flag("json"):
            tail = {"offset": -1_048_576, "limit": 1_048_576}
            put_json(daemon.call("output", run=arguments.words[0], attempt=attempt, **tail))
            return DONE
        before = daemon.send("events")
        seen = daemon.send("show", run=arguments.words[0])
        last = daemon.answer(before)["last"]
        answer: ShowAnswer = daemon.answer(seen)
        run = answer["run"]
        if answer["batch_options"] is not None:
            name = short(run["id"])
            raise UsageError(f"{name} is a batch, and has no output: `runctl list --batch {name}` names its trials")
        attempt = attempt or run["attempts"]
        if not arguments.flag("follow"):
            _show(daemon, run, attempt, arguments.number("tail"))
            return DONE
        if run["status"] == "pending" or not attempt:
            return follow(daemon, run, last, copied=attempt)
        begin = _begin(daemon, run, attempt, arguments.number("tail"))
        return follow(daemon, run, last, copied=attempt, resume=begin)


def _show(daemon: Connection, run: RunMap, attempt: int, tail: int | None) -> None:
    """Write what is there of the attempt's output."""
    if attempt:
        copy_output(daemon, run["id"], attempt, offset=_begin(daemon, run, attempt, tail), follow=False)
    else:
        say(f"Run {short(run['id'])} has not started, so it has no output yet; -f waits for it")


def _begin(daemon: Connection, run: RunMap, attempt: int, tail: int | None) -> int:
    """Where the output that is wanted begins: its last ``tail`` lines, or all."""
    return 0 if tail is None else tail_offset(daemon, run["id"], attempt, max(tail, 0))


COMMANDS = {
    "logs": Command(
        "logs",
        "RUN",
        "Write a run's output to standard output, as it was written.",
        more="With -f it exits as `runctl run` does; Ctrl-C leaves the run running.",
        action=logs,
        least=1,
        most=1,
        example="runctl logs -f 1f2e3d4c",
        options=(
            Option("-f", "--follow", meaning="go on until the run has ended, also across restarts"),
            Option("--attempt", value="K", kind=WHOLE, meaning="of attempt K instead of the latest"),
            Option("-n", "--tail", value="N", kind=WHOLE, meaning="no more than the last N lines of what is there"),
        ),
    )
}
