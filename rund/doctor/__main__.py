"""``python -m rund.doctor HOME [fix] [restore [FILE]]``: what `runctl doctor` asks; answers one JSON object."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rund.clock import now
from rund.doctor.disk import disk_findings
from rund.doctor.finding import Finding, fixed, note, ok, wrong
from rund.doctor.folders import folder_findings, opened
from rund.doctor.homes import daemon_there, stranger
from rund.doctor.stores import backup_findings, store_findings
from rund.engine.recover import Alive, recover
from rund.errors import RundError
from rund.executor.facts import read_facts
from rund.executor.framing import SHIM_LOCK, TRIAL_LOCK
from rund.executor.locks import is_held
from rund.home import locked_home
from rund.settings import read_settings
from rund.store.backups import newest_backup
from rund.store.directories import Directories
from rund.store.restoring import restore


def main(given: Sequence[str]) -> int:
    """Look ``given``'s home over, and print what was found."""
    logging.disable()  # what is wrong is told as findings
    home, words = Path(given[0]), list(given[1:])
    strange = stranger(home)
    if strange is not None:
        return _tell([strange, *_guarded("settings", _settings)], daemon=False, pid=None)
    there, pid = daemon_there(home)
    found: list[Finding] = []
    if words[:1] == ["restore"]:
        found += _restored(Directories(home), words[1:], daemon=there)
    found += _looked_over(home, fix=words[:1] == ["fix"], daemon=there)
    return _tell(found, daemon=there, pid=pid)


def _tell(found: list[Finding], *, daemon: bool, pid: int | None) -> int:
    answer = {"findings": [asdict(finding) for finding in found], "daemon": daemon, "pid": pid}
    sys.stdout.write(json.dumps(answer))
    return 0


def _looked_over(home: Path, *, fix: bool, daemon: bool) -> list[Finding]:
    directories = Directories(home)
    found = _guarded("settings", _settings)
    with contextlib.ExitStack() as held:
        if fix and not daemon:
            try:
                found += opened(home)
                held.enter_context(locked_home(directories.lock))
            except (RundError, OSError) as error:
                fix = False
                found.append(_cannot("folders", error))
        found += _guarded("disk", lambda: disk_findings(home))
        found += _guarded("folders", lambda: folder_findings(home, fix=fix))
        found += _guarded("store", lambda: store_findings(directories, live=daemon, fix=fix))
    return found + _guarded("backups", lambda: backup_findings(directories))


def _settings() -> list[Finding]:
    found = read_settings(os.environ)
    return [ok("settings", f"those of {found.config} and the environment can be read")]


def _restored(directories: Directories, given: list[str], *, daemon: bool) -> list[Finding]:
    newest = newest_backup(directories.backups)
    if daemon:
        return [wrong("restore", "a daemon runs, and uses the database", "`runctl daemon stop`, then again")]
    if not given and newest is None:
        return [wrong("restore", f"there is no backup in {directories.backups}", "give one: doctor --restore FILE")]
    path = Path(given[0]) if given else newest.path if newest is not None else Path()
    try:
        with locked_home(directories.lock):
            done = restore(directories, path, _living, now=now())
    except (RundError, OSError) as error:
        return [_cannot("restore", error)]
    kept = "" if done.kept is None else f"; what was there is in {done.kept}"
    found = [fixed("restore", f"{path} is in place{kept}")]
    if done.paused:
        what = "what waits or runs there may have run since, so nothing starts by itself"
        found.append(note("restore", what, "look at `runctl list`, then `runctl resume`"))
    return found


def _living(attempt: Path) -> int | None:
    """The shim of an attempt that lives, 0 if only what it has started does; None if it does not live."""
    with contextlib.suppress(OSError):  # whatever stands there: the facts tell
        if not (is_held(attempt / SHIM_LOCK) or is_held(attempt / TRIAL_LOCK)):
            return None
    facts = read_facts(attempt)
    if not isinstance(recover(facts), Alive):
        return None
    return facts.started.shim_pid if facts.shim_alive and facts.started is not None else 0


def _guarded(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What ``look`` finds; what hinders it is a finding too."""
    try:
        return look()
    except (RundError, OSError) as error:
        return [_cannot(check, error)]


def _cannot(check: str, error: RundError | OSError) -> Finding:
    if isinstance(error, RundError):
        what, colon, todo = error.message.rpartition(": ")
        return wrong(check, what if colon else todo, todo if colon else "see the daemon's log")
    where = f": {os.fsdecode(error.filename)}" if error.filename else ""
    return wrong(check, f"{(error.strerror or str(error)).lower()}{where}", "mend that, and look again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
