"""``runctl doctor``: looks the home over, says what is wrong and what to do, and mends what is safe."""

from __future__ import annotations

import os

from runctl import places
from runctl.arguments import Arguments, Command, Option
from runctl.failures import DONE, INCOMPLETE, UsageError
from runctl.screen import plain, put, put_json

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from typing import Any

_WRONG = "wrong"


def doctor(arguments: Arguments) -> int:
    """Look at the store, folders, lock and disk by a process of rund's own, and from here at how it is reached."""
    fix, restore = arguments.flag("fix"), arguments.flag("restore")
    if arguments.words and not restore:
        raise UsageError(f"doctor takes a file only with --restore, so {arguments.words[0]!r} cannot stand here")
    if fix and restore:
        raise UsageError("give --fix or --restore, one after the other")
    home = places.home(os.environ)
    deed = ["restore", *map(places.absolute, arguments.words)] if restore else ["fix"] if fix else []
    answer = _look(home, deed)
    findings = answer["findings"]
    if not findings or findings[0]["check"] != "home":
        findings += _from_here(answer, fix=fix)
    return _show(arguments, home, findings)


def _look(home: str, deed: list[str]) -> dict[str, Any]:
    import json
    import subprocess
    import sys

    command = [sys.executable, "-m", "rund.doctor", home, *deed]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        what = f"the look at {home} failed ({lines[-1]})"
        finding = {"check": "home", "level": _WRONG, "what": what, "todo": "please report it"}
        return {"findings": [finding], "daemon": False, "pid": None}
    return answer


def _from_here(answer: dict[str, Any], *, fix: bool) -> list[dict[str, str | None]]:
    from runctl.looked_over import of_daemon, of_socket, of_units

    return [
        *of_socket(os.environ, fix=fix, there=answer["daemon"]),
        *of_daemon(os.environ, there=answer["daemon"], pid=answer["pid"]),
        *of_units(os.environ),
    ]


def _show(arguments: Arguments, home: str, findings: list[dict[str, Any]]) -> int:
    wrong = sum(finding["level"] == _WRONG for finding in findings)
    if arguments.flag("json"):
        put_json({"home": home, "wrong": wrong, "findings": findings})
    else:
        for each in findings:
            todo = f"; {each['todo']}" if each["todo"] else ""
            put(plain(f"{each['level']:<5}  {each['check']:<8}  {each['what']}{todo}".replace("\n", " ")))
        put(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong" if wrong else "Nothing is wrong")
    return INCOMPLETE if wrong else DONE


COMMANDS = {
    "doctor": Command(
        "doctor",
        "[FILE]",
        "Look at the store, its folders and backups, at the disk, the socket, the daemon and the service's units:"
        " one line for each, with what to do.",
        more="It changes nothing, unless told to, and nothing at all in a folder that is no home of yours. With many"
        " runs it reads for a while. Exit status 1: something is wrong.",
        action=doctor,
        most=1,
        example="runctl doctor",
        options=(
            Option(
                "--fix", meaning="mend what is safe: missing folders, rights, a note that leads nowhere, a huge log"
            ),
            Option(
                "--restore",
                meaning="put FILE, or the last daily backup, in place of the database; what is there is kept in"
                " `damaged` of the home; no daemon may run, nor a run that FILE does not know as running",
            ),
        ),
    )
}
