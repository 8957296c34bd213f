"""Starts a daemon, once, however many clients ask for it at the same time.

Rules:

- Where the service is installed for the home, systemd starts it: none is started beside it.
- Under a lock on ``start.lock`` in the home, one client at a time; each tries to connect first, and while it waits.
- None is started for a ``$RUND_SOCKET`` that is not this home's own: another daemon was meant, and it is not there.
- None is started from within a run: the daemon would be ended with the run's other descendants.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from runctl import places
from runctl.failures import NoDaemonError
from runctl.reach import connect
from runctl.service import start_installed

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runctl.connection import Connection

_STORE = "rund.db"
# What a client and a daemon leave in a home before it has a store.
_BEFORE_THE_STORE = {"lock", "start.lock", "rund.log", "rund.log.1", "socket", "runs", "attempts", "sources", "removed"}
# What tells that a folder is a home, though its store is gone: the daemon says what to do.
_BESIDE_THE_STORE = {"rund.number", "rund.db-wal", "rund.db-shm", "rund.db-journal", "reserve", "backups", "damaged"}
PATIENCE = 60.0  # seconds until a daemon must answer
_BETWEEN_TRIES = 20  # milliseconds
_COMMAND = (sys.executable, "-m", "rund")


def launch(environ: Mapping[str, str], *, command: Sequence[str] = _COMMAND, patience: float = PATIENCE) -> Connection:
    """A connection to a daemon that was started by this call or by another client meanwhile.

    ``command`` starts a daemon in the foreground, with ``environ``.  Raises `NoDaemonError`, with the last line of the
    daemon's log, if it ends or does not answer within ``patience`` seconds.
    """
    folder = places.home(environ)
    by_service = start_installed(environ)
    if by_service is not None:
        return by_service
    _check_allowed(environ, folder)
    _check_home(folder)
    deadline = time.monotonic() + patience
    try:
        _make(Path(folder))
        lock = os.open(f"{folder}/start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        where = "" if error.filename in (None, folder) else f" ({error.filename})"
        raise NoDaemonError(f"the home {folder} cannot be used: {error.strerror}{where}; see RUND_HOME") from None
    try:
        return _wait_for_lock(lock, environ, deadline) or _start(environ, folder, command, deadline)
    finally:
        os.close(lock)


def _make(folder: Path) -> None:
    """Make ``folder`` and those above it that are missing, for their owner alone whatever the umask is."""
    for each in (*reversed(folder.parents), folder):
        each.mkdir(mode=0o700, exist_ok=True)


def _check_home(folder: str) -> None:
    """Leave nothing in a folder that the daemon would refuse."""
    try:
        present = set(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return  # told when it is used
    if present - _BEFORE_THE_STORE - _BESIDE_THE_STORE and _STORE not in present:
        raise NoDaemonError(f"{folder} holds other things and no store of rund: set RUND_HOME to a new folder")


def _check_allowed(environ: Mapping[str, str], folder: str) -> None:
    given = environ.get("RUND_SOCKET")
    if given and places.absolute(given) not in places.home_sockets(environ):
        raise NoDaemonError(
            f"no daemon answers at {given} (RUND_SOCKET), which is not a socket of the home {folder}:"
            " unset RUND_SOCKET, or start that daemon by hand with `rund`"
        )
    if environ.get("RUND_RUN_ID"):
        raise NoDaemonError("no daemon answers, and one started from within a run would end with it: start it outside")


def _wait_for_lock(lock: int, environ: Mapping[str, str], deadline: float) -> Connection | None:
    """A connection, if a daemon answers before the lock is had; None once it is had and still none answers."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        connection = connect(environ)
        if connection is not None or held:
            return connection
        if time.monotonic() > deadline:
            raise NoDaemonError("another client has been starting a daemon for too long: try again")
        select.select((), (), (), _BETWEEN_TRIES / 1000)


def _start(environ: Mapping[str, str], folder: str, command: Sequence[str], deadline: float) -> Connection:
    log = os.open(f"{folder}/rund.log", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        begin = os.fstat(log).st_size
        while True:
            daemon = _spawn(command, environ, log)
            connection = _wait_for_answer(daemon.pid, environ, deadline)
            if connection is not None:
                return connection
            ended = daemon.poll() is not None
            other = _holder(folder) if ended else None
            if other is None or time.monotonic() > deadline:
                break
            # It made way for a daemon that was started by hand, or that is just ending.
            connection = _wait_for_answer(other, environ, deadline)
            if connection is not None:
                return connection
        said = _last_line(os.pread(log, 65_536, max(begin, os.fstat(log).st_size - 65_536)))
    finally:
        os.close(log)
    what = "the daemon ended at its start" if ended else "the daemon that was started does not answer"
    raise NoDaemonError(f"{what}: {said or 'it said nothing'} (log: {folder}/rund.log)")


# Held until the interpreter's end: a daemon outlives its Popen, which would complain when it is collected.
_started: list[subprocess.Popen[bytes]] = []


def _spawn(command: Sequence[str], environ: Mapping[str, str], log: int) -> subprocess.Popen[bytes]:
    daemon = subprocess.Popen(  # noqa: S603 - this interpreter, with fixed arguments
        command,
        cwd="/",
        env=_with_absolute_paths(environ),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    _started.append(daemon)
    return daemon


def _holder(folder: str) -> int | None:
    """The pid of the living process that holds the home's ``lock``, as that file tells; None if there is none."""
    try:
        pid = int(places.start_of_file(f"{folder}/lock") or b"")
        os.close(os.pidfd_open(pid))
    except (OSError, ValueError):
        return None
    return pid


def _with_absolute_paths(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` as it means the same in another working folder, without what a service manager told this client."""
    paths = {name: places.absolute(environ[name]) for name in ("RUND_HOME", "RUND_SOCKET") if environ.get(name)}
    own = {name: value for name, value in environ.items() if not name.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))}
    return own | paths


def _wait_for_answer(pid: int, environ: Mapping[str, str], deadline: float) -> Connection | None:
    """A connection as soon as a daemon answers; None when process ``pid`` has ended or the deadline has passed."""
    try:
        ended = os.pidfd_open(pid)
    except OSError:  # it has gone, or is being reaped
        return connect(environ)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        while time.monotonic() < deadline:
            connection = connect(environ)
            if connection is not None:
                return connection
            if poll.poll(_BETWEEN_TRIES):
                return connect(environ)
    finally:
        os.close(ended)
    return None


def _last_line(log: bytes) -> str:
    lines = log.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
