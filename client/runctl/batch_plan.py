"""What a restart, or the making of a batch, does with each trial, in lines.  Pure."""

from __future__ import annotations

from runctl.screen import described_flags, short

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rund.api.results import PlanMap, RunMap

SHOWN = 20  # trials of a kind that are named before a count

# part of the plan -> what is said of one trial, of several, and how that would be done
_SAID = {
    "created": ("Initialized trial {}", "Initialized {}", "Would initialize trial {}"),
    "restarted": ("Restarting trial {}", "Restarting {}", "Would restart trial {}"),
    "skipped": (
        "Skipping trial {} because it is completed and its flags have not changed (--needed)",
        "Skipping {}",
        "Would skip trial {}: it is completed and its flags have not changed (--needed)",
    ),
    "kept": ("Keeping trial {} as it is: {}", "Keeping {} as they are", "Would keep trial {} as it is: {}"),
    "taken_back": ("Taking back trial {}", "Taking back {}", "Would take back trial {}"),
    "orphaned": ("Setting free trial {}", "Setting free {}", "Would set free trial {}"),
    "deleted": (
        "Deleted trial {}, which never started",
        "Deleted {}, which never started",
        "Would delete trial {}, which never started",
    ),
}


def named_in(plan: PlanMap, *, listed: Sequence[str] = (), total: int | None = None) -> dict[str, list[str]]:
    """The ids that the lines of each part of ``plan`` name: the first 20.

    A part that is a count names none, unless it is the ``total`` of all trials, of which ``listed`` are the first.
    """
    named = {}
    for part in _SAID:
        given = plan[part]  # type: ignore[literal-required]  # the parts are PlanMap's keys
        if isinstance(given, int):
            given = listed if given == total else ()
        named[part] = [each for each in given[:SHOWN] if isinstance(each, str)]
    return named


def plan_lines(
    plan: PlanMap, named: Mapping[str, Sequence[str]], runs: Mapping[str, RunMap], *, would: bool = False
) -> Iterator[str]:
    """The lines that tell of ``plan``; of a kind those trials that are ``named`` and a count of the rest.

    ``runs`` are what is known of those trials.  With ``would`` nothing was done.
    """
    for part, (one, several, conditional) in _SAID.items():
        given = plan[part]  # type: ignore[literal-required]  # the parts are PlanMap's keys
        form = conditional if would else one
        lines = [form.format(*_words(part, runs.get(run_id), run_id)) for run_id in named[part]]
        if would and part == "created" and not isinstance(given, int):
            lines = [f"Would initialize a trial{described_flags(flags)}" for flags in given[:SHOWN]]
        yield from lines
        count = given if isinstance(given, int) else len(given)
        if count > len(lines):
            what = several.format(_counted(count - len(lines), more=bool(lines)))
            yield f"Would be: {what[:1].lower()}{what[1:]}" if would else what


def _counted(count: int, *, more: bool) -> str:
    return f"{count}{' more' if more else ''} trial{'' if count == 1 else 's'}"


def outdated_line(count: int) -> str | None:
    """What is said if skipped trials are out of date."""
    if not count:
        return None
    were = "was" if count == 1 else "were"
    return f"{count} of them {were} completed with another source, environment or seed"


def _words(part: str, run: RunMap | None, run_id: str) -> tuple[str, ...]:
    """What stands in the line of one trial: which it is, and for what is kept its status too."""
    name = short(run_id)
    if part in ("created", "restarted", "taken_back", "orphaned") and run is not None:
        return (f"{name}{described_flags(run['flags'])}",)
    if part == "kept":
        flags = "" if run is None else described_flags(run["flags"])
        return f"{name}{flags}", "it is live" if run is None else run["status"]
    return (name,)
