"""Puts rund's units in place and takes them away; starts the daemon through them where they are in place."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
from pathlib import Path
from typing import Final

from runctl import places
from runctl.connection import Connection, open_stream
from runctl.reach import connect
from runctl.service_units import SERVICE, SOCKET, UNITS, Installation, render
from runctl.stopping import stop_daemon
from runctl.user_manager import UserManager, installed, strangers, unit_folder
from rund.errors import BusyError, InternalError, InvalidError, NotFoundError, RundError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runctl.answers import StatusAnswer

_PATIENCE: Final = 60.0  # seconds until a daemon that was started must answer
_LAST_WORDS: Final = 10.0  # seconds until one that is to be stopped must


def wanted(environ: Mapping[str, str], manager: UserManager) -> Installation:
    """What the units are to serve for a client with ``environ``: the home and the socket that it would look for."""
    home = places.home(environ)
    given, config = environ.get("RUND_SOCKET"), environ.get("XDG_CONFIG_HOME", "")
    return Installation(
        python=sys.executable,
        home=home,
        socket=places.absolute(given) if given else places.default_socket(home, {"XDG_RUNTIME_DIR": manager.runtime}),
        config=config if config.startswith("/") else None,
    )


def install(environ: Mapping[str, str], manager: UserManager) -> tuple[StatusAnswer, int | None]:
    """Put the units in place, start the socket, and through it the daemon.

    Answers the daemon's status, and the pid of the daemon that was stopped for it, if one ran by hand.  Raises
    `rund.errors.RundError`; units that the user manager does not find are taken away again.
    """
    manager.check()
    installation = wanted(environ, manager)
    _check_place(environ, installation)
    changed = _write_units(unit_folder(environ), installation)
    manager.do("daemon-reload")
    _check_found(environ, manager)
    manager.do("enable", *UNITS)
    replaced = _make_way(environ, manager)
    # A service that is there already goes on with the units as they are now, and without what was once refused.
    manager.do("restart" if changed else "start", SOCKET)
    return _answer(installation.socket, _PATIENCE), replaced


def uninstall(environ: Mapping[str, str], manager: UserManager) -> StatusAnswer | None:
    """Stop the daemon and take the units away; answers the daemon's last status, None if it did not run.

    Raises `NotFoundError` if there are none of runctl's, `InvalidError` if they serve another home.
    """
    there = installed(environ)
    if there is None and installed(environ, SERVICE) is None:
        raise NotFoundError(f"runctl has put no service into {unit_folder(environ)}")
    manager.check()
    if there is not None and environ.get("RUND_HOME") and there.home != places.home(environ):
        raise InvalidError(f"the service serves the home {there.home}: set RUND_HOME to that, or unset it")
    status = None
    if there is not None and service_pid(manager) is not None:
        with contextlib.suppress(RundError):  # one that hangs is stopped too
            status = _answer(there.socket, _LAST_WORDS)
    units = [unit for unit in UNITS if installed(environ, unit) is not None]
    # Stopped first: disabling takes units away that are symbolic links, and what has no unit is stopped with its runs.
    manager.do("stop", *units)
    manager.do("disable", *units)
    for unit in units:
        (unit_folder(environ) / unit).unlink(missing_ok=True)
    manager.do("daemon-reload")
    manager.attempt("reset-failed", *units)
    return status


def start_installed(environ: Mapping[str, str]) -> Connection | None:
    """A connection to the daemon of the service that is installed for the home that ``environ`` means.

    None if there is no such service, or no user manager to start it.
    """
    there = installed(environ)
    if there is None or there.home != places.home(environ):
        return None
    given = environ.get("RUND_SOCKET")
    if given and places.absolute(given) != there.socket:
        return None
    manager = UserManager(environ)
    for word in ("start", "restart"):  # again, if its file is gone from under the socket
        if not manager.attempt(word, SOCKET):
            return None
        connection = connect({**environ, "RUND_SOCKET": there.socket})
        if connection is not None:
            return connection
    return None


def service_pid(manager: UserManager) -> int | None:
    """The pid of the service's daemon; None if it does not run."""
    pid = manager.properties(SERVICE, "MainPID")["MainPID"]
    return int(pid) if pid.isdecimal() and int(pid) else None


def _check_place(environ: Mapping[str, str], installation: Installation) -> None:
    for path in strangers(environ):
        raise BusyError(f"{path} is there already, and not from `runctl service install`: move it away first")
    there = installed(environ)
    if there is not None and there.home != installation.home:
        raise BusyError(
            f"the service serves the home {there.home}: set RUND_HOME to it, or first `runctl service uninstall`"
        )


def _write_units(folder: Path, installation: Installation) -> bool:
    """Write what is not there as it should be; whether there was any such."""
    texts = {unit: render(unit, _template(unit), installation) for unit in UNITS}
    changed = False
    folder.mkdir(parents=True, exist_ok=True)
    for unit, text in texts.items():
        path = folder / unit
        if path.exists() and path.read_text("utf-8") == text:
            continue
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{unit}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        Path(name).rename(path)
        changed = True
    return changed


def _template(unit: str) -> str:
    here = Path(__file__).resolve().parent
    for folder in (here / "systemd", here.parents[1] / "systemd"):  # installed; in a checkout
        with contextlib.suppress(FileNotFoundError):
            return (folder / unit).read_text("utf-8")
    raise InternalError(f"{unit} is missing from this installation of rund: install it again")


def _check_found(environ: Mapping[str, str], manager: UserManager) -> None:
    """Take the units away again if the manager takes others, or looks elsewhere."""
    for unit in UNITS:
        path = unit_folder(environ) / unit
        found = manager.properties(unit, "FragmentPath")["FragmentPath"]
        if not found or not path.samefile(found):
            for each in UNITS:
                (unit_folder(environ) / each).unlink(missing_ok=True)
            manager.attempt("daemon-reload")
            raise InvalidError(
                f"the user manager takes {unit} from {found or 'nowhere'}, not from {path.parent}: set XDG_CONFIG_HOME"
                " and HOME as they are in `systemctl --user show-environment`"
            )


def _make_way(environ: Mapping[str, str], manager: UserManager) -> int | None:
    """Stop the daemon that serves the home by hand, if one does; answers its pid."""
    connection = connect(environ)
    if connection is None:
        return None
    with connection:
        own = service_pid(manager)
        if own is None and manager.properties(SOCKET, "ActiveState")["ActiveState"] == "active":
            return None  # the socket unit's, which is about to start the service's daemon
        pid: int = connection.call("status")["pid"]
        if pid == own:
            return None
        stop_daemon(connection)
        return pid


def _answer(path: str, patience: float) -> StatusAnswer:
    """The status of the service's daemon, started by this connection to its socket if need be."""
    try:
        stream = open_stream(path)
    except OSError as error:
        raise InternalError(f"{path}: {error.strerror}: see `systemctl --user status {SOCKET}`") from None
    with Connection(stream, path) as connection:
        number = connection.send("status")
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(patience * 1000):
            raise InternalError(f"the daemon does not answer: see `journalctl --user -u {SERVICE}`")
        answer: StatusAnswer = connection.answer(number)
        return answer
