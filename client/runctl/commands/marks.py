"""``runctl label`` and ``tag``: what a person calls a run."""

from __future__ import annotations

from runctl.arguments import Arguments, Command
from runctl.failures import DONE, UsageError
from runctl.reach import reach_for
from runctl.screen import put_json, say, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from rund.api.results import RunMap


def label(arguments: Arguments) -> int:
    """Give the run a label, or take it away."""
    name, text = arguments.words
    with reach_for(arguments) as daemon:
        answer = daemon.call("set", runs=[name], label=text)
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    run: RunMap = answer["runs"][0]
    say(f"Label of {short(run['id'])}: {run['label'] or 'none'}")
    return DONE


def tag(arguments: Arguments) -> int:
    """Add tags to the run and take tags away."""
    name, *marks = arguments.words
    added, removed = read_marks(marks)
    with reach_for(arguments) as daemon:
        answer = daemon.call("set", runs=[name], add_tags=added, remove_tags=removed)
    if arguments.flag("json"):
        put_json(answer)
        return DONE
    run: RunMap = answer["runs"][0]
    say(f"Tags of {short(run['id'])}: {', '.join(run['tags']) or 'none'}")
    return DONE


def read_marks(marks: list[str]) -> tuple[list[str], list[str]]:
    """The tags to add, written ``TAG`` or ``+TAG``, and those to take away, written ``-TAG``."""
    if any(mark in ("", "+", "-") for mark in marks):
        raise UsageError("a tag is missing: write TAG or +TAG to add one, -TAG to take one away")
    removed = [mark[1:] for mark in marks if mark.startswith("-")]
    added = [mark.removeprefix("+") for mark in marks if not mark.startswith("-")]
    return added, removed


COMMANDS = {
    "label": Command(
        "label",
        "RUN TEXT",
        'Give a run a label; "" takes it away.',
        action=label,
        least=2,
        most=2,
        example="runctl label 1f2e3d4c 'warm start'",
    ),
    "tag": Command(
        "tag",
        "RUN [+]TAG... -TAG...",
        "Add tags to a run (TAG or +TAG), or take them away (-TAG).",
        action=tag,
        least=2,
        loose=True,
        example="runctl tag 1f2e3d4c baseline -draft",
    ),
}
