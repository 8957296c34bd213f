"""``runctl show``: shows all that is known of a run."""

from __future__ import annotations

from runctl.arguments import Arguments, Command, Option
from runctl.batch_page import SHOWN, batch_facts, trial_lines
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import plain, put, put_json, short
from runctl.times import duration, second, size
from rund.model.values import format_batch_flags, format_flags, format_value

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runctl.answers import ShowAnswer
    from rund.api.results import AttemptMap, RunMap

_NAMES = 12  # columns of the names at the left


def show(arguments: Arguments) -> int:
    """Show one run."""
    with reach_for(arguments) as daemon:
        answer = daemon.call("show", run=arguments.words[0], environment=arguments.flag("env"))
        listed = None
        if answer["batch_options"] is not None and not arguments.flag("json"):
            listed = daemon.call("list", batch=answer["run"]["id"], limit=SHOWN)
    if arguments.flag("json"):
        put_json(answer)
    else:
        put(plain("\n".join([*run_page(answer), *([] if listed is None else trial_lines(answer["run"], listed))])))
    return DONE


def run_page(answer: ShowAnswer) -> Iterator[str]:
    """The lines that tell of a run, from the answer to ``show``."""
    run: RunMap = answer["run"]
    for name, value in _facts(run, answer):
        if value:
            yield name.ljust(_NAMES) + value
    # Of a batch, text in brackets is a function: it stands as it was given.
    form = format_batch_flags if run["operation"].endswith("+") else format_flags
    yield from _block("flags", [form({name: value}) for name, value in run["flags"].items()])
    yield from _block("scalars", [f"{name}={format_value(value)}" for name, value in run["scalars"].items()])
    yield from _block("attempts", [line for attempt in answer["attempts"] for line in attempt_lines(attempt)])
    yield from _block("environment", _environment_lines(answer["environment"]))


def _facts(run: RunMap, answer: ShowAnswer) -> Iterator[tuple[str, str | None]]:
    began, ended = run["started"], run["stopped"]
    yield "id", run["id"]
    yield "operation", f"{run['operation']}  ({answer['operation']['project_dir']})"
    yield "status", f"{run['status']}: {run['reason']}" if run["reason"] else run["status"]
    if answer["batch_options"] is not None:
        yield from batch_facts(run, answer["batch_options"])  # type: ignore[arg-type]  # what has options is a batch
    yield "batch", _batch(run)
    yield "waits for", answer["waits_for"]
    yield "hint", answer["hint"]
    yield "label", run["label"]
    yield "tags", ", ".join(run["tags"])
    yield "created", second(run["created"])
    yield "started", None if began is None else second(began)
    if began is not None and ended is not None:
        yield "stopped", f"{second(ended)}  (after {duration(ended - began)})"
    yield "seed", str(run["random_seed"])
    yield "directory", run["dir"]


def _batch(run: RunMap) -> str | None:
    """The batch whose trial it is or was; None for a run that no batch has made."""
    if run["batch"] is not None:
        return short(run["batch"])
    return None if run["made_by"] is None else f"none; {short(run['made_by'])} made it"


def _block(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield title
        for line in lines:
            yield f"  {line}"


def attempt_lines(attempt: AttemptMap) -> Iterator[str]:
    """The lines that tell of one attempt."""
    ended = attempt["stopped"]
    took = "" if ended is None else f"  {duration(ended - attempt['started'])}"
    reason = f": {attempt['reason']}" if attempt["reason"] else ""
    yield f"{attempt['attempt']}  {second(attempt['started'])}{took}  {attempt['status']}{reason}"
    details = [
        " ".join(attempt["command"]),
        attempt["host"] and f"by {attempt['user']} on {attempt['host']}",
        attempt["max_rss"] and f"memory {size(attempt['max_rss'])}",
        attempt["user_time"] is not None
        and attempt["system_time"] is not None
        and f"processor {duration(attempt['user_time'] + attempt['system_time'])}",
        attempt["commit"] and f"commit {attempt['commit'][:12]}",
        attempt["source"] and f"source {attempt['source'][:12]}",
    ]
    yield from (f"   {detail}" for detail in details if detail)


def _environment_lines(environment: dict[str, str | bytes] | None) -> list[str]:
    return [
        f"{name}={value.decode(errors='replace') if isinstance(value, bytes) else value}"
        for name, value in sorted((environment or {}).items())
    ]


COMMANDS = {
    "show": Command(
        "show",
        "RUN",
        "Show all that is known of a run: its flags, times, directory and attempts; of a batch its options and trials.",
        action=show,
        least=1,
        most=1,
        example="runctl show @1",
        options=(Option("--env", meaning="its environment too, which may hold secrets"),),
    )
}
