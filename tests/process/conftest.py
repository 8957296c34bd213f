"""The real `rund` and `runctl`, each test with a home of its own, and no process left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runctl.client import Client

from rund.errors import RundError

if TYPE_CHECKING:
    from tests.process.batch_client import BatchClient

BIN = Path(sys.executable).parent
DEADLINE = 120.0
_BUSY = re.compile(r"^The daemon at .* does not answer; waiting for it\n", re.MULTILINE)


class Machine:
    """A home, the daemons started for it, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.project = folder / "project"
        self.project.mkdir()
        self.env = {
            "HOME": str(folder),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "RUND_HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "RUND_GRACE": "1.5",
            "LANG": "C.UTF-8",
        }
        self.launcher: list[str | Path] = []  # what is put before a daemon's command
        self.daemons: list[subprocess.Popen[bytes]] = []

    @property
    def socket(self) -> Path:
        """The daemon's socket, as the daemon wrote it down."""
        return Path((self.home / "socket").read_text().strip())

    def script(self, name: str, text: str) -> Path:
        """A script of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        """A daemon, ready to serve."""
        log = (self.folder / "rund.log").open("ab")
        with log:
            daemon = subprocess.Popen(
                [*self.launcher, BIN / "rund"], env=self.env | env, stdin=subprocess.DEVNULL, stderr=log
            )
        self.daemons.append(daemon)
        wait_until(lambda: daemon.poll() is not None or self.is_served())
        assert daemon.poll() is None, (self.folder / "rund.log").read_text()
        return daemon

    def is_served(self) -> bool:
        """Whether a daemon answers."""
        try:
            Client(self.env, start=False).close()
        except RundError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL for the last daemon."""
        self.daemons[-1].kill()
        self.daemons[-1].wait()

    def ctl(self, *args: str, check: bool = False, **more: Any) -> subprocess.CompletedProcess[str]:
        """A `runctl` command in the project, to its end."""
        env = self.env | more.pop("env", {})
        timeout = more.pop("timeout", DEADLINE)
        result = subprocess.run(
            [BIN / "runctl", *args],
            env=env,
            cwd=more.pop("cwd", self.project),
            stdin=more.pop("stdin", subprocess.DEVNULL),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **more,
        )
        result.stderr = without_notices(result.stderr)
        assert "Traceback" not in result.stderr, result.stderr
        if check:
            assert result.returncode == 0, (args, result.stdout, result.stderr)
        return result

    def json(self, *args: str) -> Any:
        """The answer of a command that succeeds, by ``--json``."""
        return json.loads(self.ctl(*args, "--json", check=True).stdout)

    def popen(self, *args: str) -> subprocess.Popen[str]:
        """A `runctl` command that goes on beside the test."""
        return subprocess.Popen(
            [BIN / "runctl", *args],
            env=self.env,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self) -> list[int]:
        """All processes that live in this home's environment: daemons, shims and runs."""
        wanted = f"RUND_HOME={self.home}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if wanted in (entry / "environ").read_bytes() + b"\0":
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def end_processes(self) -> list[int]:
        """SIGKILL for all of `processes`, each of which is stopped before the first is killed: none sees another's end."""
        found = self.processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, number)
        return found

    def close(self) -> None:
        """End all that was started; fails if something outlives that."""
        try:
            if (self.home / "socket").exists() and self.socket.exists():
                self.ctl("daemon", "stop", "--with-runs", "--no-start")
        finally:
            for daemon in self.daemons:
                daemon.kill()
                daemon.wait()
            # Again and again: what was just being forked is met by the next look only.
            wait_until(lambda: not self.end_processes())


def without_notices(said: str) -> str:
    """What a client said, without that it waited for a daemon which had no time: so it is on a machine that is busy."""
    return _BUSY.sub("", said)


def wait_until(condition: Callable[[], Any], seconds: float = DEADLINE) -> None:
    """Wait until ``condition`` holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        select.select([], [], [], 0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine without a daemon."""
    machine = Machine(tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def served(machine: Machine) -> Machine:
    """A machine with a daemon."""
    machine.start()
    return machine


@pytest.fixture
def batches(served: Machine) -> Iterator[BatchClient]:
    """A client of a machine with a daemon."""
    from tests.process.batch_client import BatchClient  # it uses this module

    client = BatchClient(served)
    yield client
    client.close()
