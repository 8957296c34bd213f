"""A home whose daemons can be killed at any change, one client of it, and its trials' own counts of how often they ran."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from rund.protocol import CLIENT, CLOSED, NEED_DATA, Connection, Response, encode_request
from tests.faults.warm_rund import Order

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 90.0  # seconds until something that must come is given up

# Writes down that this attempt ran, by its token, which is the folder of its output; then does what its flag says.
TRIAL: Final = """#!/bin/sh
token=$(readlink /proc/$$/fd/1)
token=${token%/output}
echo ran >> "$RUND_PROJECT_DIR/ran/${token##*/}"
case "$FLAG_X" in
9) exit 3 ;;
8) exec sleep 1000 ;;
7) while [ ! -e "$RUND_PROJECT_DIR/go" ]; do sleep 0.05; done ;;
esac
"""

Answer = dict[str, Any]


class DaemonGoneError(Exception):
    """The daemon was killed before it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A daemon is killed when it is about to make this change, counted from its first call of ``since``, or from 1."""

    at: int
    since: str | None = None


class Daemon:
    """One daemon, alive or gone."""

    def __init__(self, pid: int, watcher: int, report: Path | None) -> None:
        self.pid = pid
        self._report = report
        self._end = os.pidfd_open(watcher)

    def gone(self, seconds: float) -> bool:
        """Whether it is gone, or will be within ``seconds``."""
        return bool(select.select([self._end], [], [], seconds)[0])

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        assert self.gone(PATIENCE), "a daemon that was told to stop did not end"

    def changes(self) -> list[str]:
        """The calls by which it changed something, after its end."""
        assert self._report is not None
        calls: list[str] = json.loads(self._report.read_text())["calls"]
        return calls

    def was_killed(self) -> bool:
        """Whether it was killed at a change, as had been asked for."""
        if self._report is None or not self.gone(0):  # before that there is no report
            return False
        return bool(json.loads(self._report.read_text())["status"] == signal.SIGKILL)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._end)


class World:
    """One folder with a project, a home and all daemons that it has had; a context manager that leaves nothing alive."""

    def __init__(self, folder: Path, *, package: Path = ROOT, patience_after_a_kill: float = PATIENCE) -> None:
        """``package`` is the folder that holds the package ``rund`` that its daemons are made of.

        After ``patience``, in seconds, a scenario that does not go on is given up; see `lose_patience`.
        """
        self.folder = folder
        self.patience = PATIENCE
        self._patience_after_a_kill = patience_after_a_kill
        self.home = folder / "home"
        self.socket = folder / "socket"
        self.project = folder / "project"
        self.log = folder / "log"
        self.env = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "RUND_HOME": str(self.home),
            "RUND_SOCKET": str(self.socket),
            "RUND_SLOTS": "2",
            "RUND_GRACE": "20",
        }
        self._forge = subprocess.Popen(
            # -P: what lies in its working directory must not come before the package.
            [sys.executable, "-P", "-m", "tests.faults.warm_rund"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{package}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._forge.stdin is not None
        assert self._forge.stdout is not None
        self._forge.stdin.close()
        self._forge.wait(PATIENCE)
        self._forge.stdout.close()
        self.end_all()

    def begin(self, template: Path | None = None) -> None:
        """A fresh project and home; the home as it was kept in ``template``."""
        self.end_all()
        self.patience = PATIENCE
        for path in (self.home, self.project):
            shutil.rmtree(path, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        (self.project / "ran").mkdir(parents=True)
        script = self.project / "trial.sh"
        script.write_text(TRIAL)
        script.chmod(0o755)
        if template is not None:
            shutil.copytree(template / "home", self.home, symlinks=True)
            shutil.copytree(template / "ran", self.project / "ran", dirs_exist_ok=True)

    def keep(self, template: Path) -> None:
        """Keep the home, which no daemon has now, in ``template``."""
        shutil.copytree(self.home, template / "home", symlinks=True)
        shutil.copytree(self.project / "ran", template / "ran")

    def lose_patience(self) -> None:
        """A daemon was killed: from now on the scenario is given up as soon as had been said for that."""
        self.patience = self._patience_after_a_kill

    def start(self, kill: Kill | None = None, *, watched: bool = False) -> Daemon:
        """A daemon, not waited for; it is killed as ``kill`` says."""
        report = self.folder / f"report-{len(self._daemons)}" if watched or kill is not None else None
        order = Order(
            environment=self.env,
            log=str(self.log),
            report=None if report is None else str(report),
            kill_at=None if kill is None else kill.at,
            since=None if kill is None else kill.since,
        )
        assert self._forge.stdin is not None
        assert self._forge.stdout is not None
        self._forge.stdin.write(json.dumps(order).encode() + b"\n")
        self._forge.stdin.flush()
        answer = json.loads(self._forge.stdout.readline())
        daemon = Daemon(answer["pid"], answer["watcher"], report)
        self._daemons.append(daemon)
        return daemon

    def connect(self, daemon: Daemon) -> Wire:
        """A connection to ``daemon`` as soon as it serves; raises `DaemonGoneError` if it is gone before."""
        deadline = time.monotonic() + self.patience
        while True:
            wire = socket.socket(socket.AF_UNIX)
            wire.settimeout(self.patience)
            try:
                wire.connect(str(self.socket))
                # What a daemon was starting when it was killed has its listening socket for a moment longer.
                if _listener(wire) == daemon.pid:
                    return Wire(wire)
            except OSError:
                pass
            wire.close()
            if daemon.gone(0.005):
                raise DaemonGoneError
            assert time.monotonic() < deadline, "the daemon does not serve"

    def ran(self) -> dict[str, int]:
        """How often each attempt ran, by its token."""
        return {path.name: path.read_text().count("ran") for path in (self.project / "ran").iterdir()}

    def processes(self) -> list[int]:
        """All processes that live in this home's environment, but the daemons: fork servers, shims and trials."""
        wanted = f"RUND_HOME={self.home}\0".encode()
        shims = str(self.home).encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if not entry.name.isdigit() or int(entry.name) == os.getpid():
                    continue
                if wanted in (entry / "environ").read_bytes() + b"\0" or (
                    (entry / "comm").read_bytes().startswith(b"rund")
                    and any(shims in os.fsencode(link.readlink()) for link in (entry / "fd").iterdir())
                ):
                    found.append(int(entry.name))
        return found

    def end_all(self) -> None:
        """End whatever is alive."""
        for daemon in self._daemons:
            if not daemon.gone(0):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(daemon.pid, signal.SIGKILL)
                assert daemon.gone(PATIENCE)
            daemon.close()
        self._daemons.clear()
        deadline = time.monotonic() + PATIENCE
        while self.home.exists() and (left := self.processes()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, f"processes {left} do not end"


def _listener(wire: socket.socket) -> int:
    """The process that made the socket listen which ``wire`` is connected to."""
    credentials = struct.Struct("3i")  # pid, uid, gid
    pid: int = credentials.unpack(wire.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size))[0]
    return pid


class Wire:
    """One connection, which blocks."""

    def __init__(self, wire: socket.socket) -> None:
        self._socket = wire
        self._connection = Connection(CLIENT)
        self._last = 0

    def call(self, method: str, **params: object) -> Answer:
        """What ``method`` answers; raises `DaemonGoneError` if the daemon goes before, `AssertionError` for an error."""
        self._last += 1
        try:
            self._socket.sendall(encode_request(self._last, method, [params]))
            response = self._response()
        except TimeoutError:
            raise AssertionError(f"{method} is not answered") from None
        except OSError:
            raise DaemonGoneError from None
        assert response.error is None, f"{method} {params}: {response.error}"
        answer: Answer = response.result  # type: ignore[assignment] # every method answers a map
        return answer

    def _response(self) -> Response:
        while not isinstance(message := self._message(), Response):
            pass
        return message

    def _message(self) -> object:
        while (message := self._connection.next_message()) is NEED_DATA:
            self._connection.receive_data(self._socket.recv(65_536))
        if message is CLOSED:
            raise DaemonGoneError
        return message

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
