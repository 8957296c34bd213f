"""What ``runctl doctor`` finds from a client's side: the daemon, its socket, and the service's units."""

from __future__ import annotations

import os
import shlex
import stat
import threading
from pathlib import Path

from runctl import places
from runctl.failures import NoDaemonError
from runctl.reach import connect
from rund.errors import RundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runctl.answers import StatusAnswer

    Found = dict[str, str | None]

_PATIENCE = 5.0  # seconds that a daemon has to answer


def found(check: str, level: str, what: str, todo: str | None = None) -> Found:
    """One finding, as `rund.doctor.finding.Finding` has it."""
    return {"check": check, "level": level, "what": what, "todo": todo}


def of_daemon(environ: Mapping[str, str], *, there: bool, pid: int | None) -> list[Found]:
    """Whether a daemon answers, and what it says of itself; ``there``: one holds the home's lock, as ``pid``."""
    if not there and _is_service(environ):  # to ask would start it
        return [found("daemon", "note", "none runs; the service starts one when a client comes")]
    asked = _Asked(environ)
    named = "its daemon" if pid is None else f"its daemon (pid {pid})"
    if not asked.finished:
        todo = "`runctl daemon stop`, or kill -9 it: runs go on without it"
        return [found("daemon", "wrong", f"{named} does not answer within {_PATIENCE:g} s", todo)]
    if asked.error is not None:
        what, _, todo = asked.error.partition(": ")
        return [found("daemon", "wrong", what, todo or "see the daemon's log")]
    if asked.status is None:
        if there:
            todo = "wait a moment, if it has just been started; else see its log, and kill it: runs go on"
            return [found("daemon", "wrong", f"{named} cannot be reached", todo)]
        return [found("daemon", "note", "none runs", "any command starts one; runs go on without it")]
    fault = asked.status.get("fault")
    if fault:
        what, _, todo = fault.partition(": ")
        return [found("daemon", "wrong", what, todo or "mend that: it goes on by itself")]
    return [found("daemon", "ok", f"pid {asked.status['pid']} answers, version {asked.status['version']}")]


def _is_service(environ: Mapping[str, str]) -> bool:
    from runctl.user_manager import installed

    there = installed(environ)
    return there is not None and there.home == places.home(environ)


class _Asked:
    """The answer to ``status``, asked for in a thread, for a daemon that hangs never answers."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.status: StatusAnswer | None = None
        self.error: str | None = None
        self._environ = environ
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        self.finished = not thread.is_alive()

    def _ask(self) -> None:
        try:
            connection = connect(self._environ)
            if connection is not None:
                with connection:
                    self.status = connection.call("status")
        except (RundError, NoDaemonError) as error:
            self.error = error.message
        except OSError as error:
            self.error = f"the daemon cannot be asked: {error.strerror or error}"


def of_socket(environ: Mapping[str, str], *, fix: bool, there: bool) -> list[Found]:
    """Whether clients can come to the socket: the note of it, and the folders that it lies in."""
    home = places.home(environ)
    result = _note(Path(home, "socket"), fix=fix and not there)
    paths = [environ["RUND_SOCKET"]] if environ.get("RUND_SOCKET") else [places.default_socket(home, environ)]
    for path in map(Path, paths):
        result += _folder(path.parent, path.name) + _node(path)
    return result or [found("socket", "ok", f"{paths[0]} is where it may be")]


def _note(note: Path, *, fix: bool) -> list[Found]:
    """What is found of the file in the home that tells clients where the socket is."""
    try:
        status = note.lstat()
        if not stat.S_ISREG(status.st_mode):
            return [found("socket", "wrong", f"{note} is no regular file", f"remove {note}: a daemon writes it anew")]
        target = Path(os.fsdecode(note.read_bytes()[:4096].strip()))
        if target.is_absolute() and (not os.path.lexists(target) or stat.S_ISSOCK(target.lstat().st_mode)):
            return []
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [found("socket", "wrong", f"{note} cannot be read: {error}", "see who owns it")]
    what = f"{note} names {target}, which is no socket"
    if not fix:
        todo = f"doctor --fix, while no daemon runs, removes {note} and leaves the other; a daemon writes it anew"
        return [found("socket", "wrong", what, todo)]
    note.unlink()
    return [found("socket", "fixed", f"{what}: the note was removed")]


def _node(path: Path) -> list[Found]:
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            return []
    except OSError:
        return []
    return [found("socket", "wrong", f"{path} is no socket", f"move {path} away, or set RUND_SOCKET to another path")]


def _folder(folder: Path, name: str) -> list[Found]:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [found("socket", "wrong", f"{folder} cannot be looked at: {error.strerror}", "see who owns it")]
    if not stat.S_ISDIR(status.st_mode):
        return [found("socket", "wrong", f"{folder} is no folder, and {name} is to lie in it", f"move {folder} away")]
    if status.st_uid not in (os.geteuid(), 0):
        todo = "set XDG_RUNTIME_DIR to a folder of your own, or RUND_SOCKET to a path in one"
        return [found("socket", "wrong", f"{folder} belongs to another user (uid {status.st_uid})", todo)]
    return []


def of_units(environ: Mapping[str, str]) -> list[Found]:
    """Whether the service's units are for this home, and start a program that is there."""
    from runctl.service_units import SERVICE
    from runctl.user_manager import installed, strangers, unit_folder

    result = [
        found("unit", "note", f"{path} is not of `runctl service install`", "see whether it starts this rund")
        for path in strangers(environ)
    ]
    there = installed(environ)
    if there is None:
        return result or [found("unit", "ok", "none is installed; `runctl service install` puts one in place")]
    if there.home != places.home(environ):
        return [*result, found("unit", "note", f"the service serves another home, {there.home}")]
    path = unit_folder(environ) / SERVICE
    program = _program(path)
    if program is not None and not os.access(program, os.X_OK):
        what = f"{path} starts {program}, which is not there"
        return [*result, found("unit", "wrong", what, "`runctl service install` writes it anew")]
    return [*result, found("unit", "ok", "the service serves this home")]


def _program(unit: Path) -> str | None:
    """The program that a unit starts."""
    try:
        lines = unit.read_text("utf-8").splitlines()
        command = next(line.partition("=")[2] for line in lines if line.startswith("ExecStart="))
        return shlex.split(command)[0].lstrip("-@:+!").replace("%%", "%")
    except (OSError, ValueError, StopIteration, IndexError):
        return None
