"""A real user manager of systemd, in namespaces of its own: nothing of it outlives them, and nothing else sees it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import BIN, DEADLINE

MANAGER = "/lib/systemd/systemd"
RUNTIME = "/run/user/0"
_PROGRAMS = ("unshare", "nsenter", "systemctl", "systemd-analyze", MANAGER)

_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")

# The tree of control groups, wherever and however the machine has it mounted.
_GROUPS = r"""
mount -t tmpfs tmpfs /run && mkdir /run/groups && mount -t cgroup2 cgroup2 /run/groups || exit
group=/run/groups/$GROUP
"""
# The manager gets a tree for itself: it is the root of the one that it sees. All ends with the test that holds the
# other end of standard input.
_INIT = (
    _GROUPS
    + r"""
mkdir "$group" && echo $$ >"$group/cgroup.procs" || exit
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
exec unshare --cgroup sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup; "$MANAGER" --user --log-target=null & cat'
"""
)
_REMOVE = _GROUPS + r"""[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +"""


def why_not() -> str | None:
    """Why there can be no user manager here; None if there can be one."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if os.getuid() != 0:
        return "needs namespaces, which root may make"
    probe = ["unshare", *_NAMESPACES, "--cgroup", "sh", "-c", _GROUPS]
    done = subprocess.run(probe, env=os.environ | {"GROUP": "none"}, capture_output=True, text=True, check=False)
    return f"needs namespaces: {done.stderr.strip()}" if done.returncode != 0 else None


class UserManager:
    """A manager for a user with the home folder ``folder``, and what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.units = folder / ".config" / "systemd" / "user"
        self._group = f"rund-test-{os.getpid()}-{time.monotonic_ns()}"
        self.env = {
            "HOME": str(folder),
            "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin",
            "XDG_RUNTIME_DIR": RUNTIME,
            "LANG": "C.UTF-8",
        }
        self._unshare: subprocess.Popen[bytes] | None = None
        self._init = 0

    def start(self) -> None:
        """Start the manager, and wait until it answers."""
        self._unshare = unshare = subprocess.Popen(
            ["unshare", *_NAMESPACES, "sh", "-c", _INIT],
            env=self.env | {"GROUP": self._group, "MANAGER": MANAGER},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
        wait_for(lambda: children.read_text().strip(), "the namespaces are not made")
        self._init = int(children.read_text().split()[0])
        wait_for(self._answers, "the user manager does not answer")

    def _answers(self) -> bool:
        """Whether the manager answers, and not one of the machine's own, which is seen until /run is another."""
        return self.run("test", "-d", "/run/groups").returncode == 0 == self.systemctl("show-environment").returncode

    def close(self) -> None:
        """End the manager and all that it has started."""
        if self._unshare is None:
            return
        os.kill(self._init, signal.SIGKILL)
        self._unshare.communicate(timeout=DEADLINE)
        self._unshare = None
        wait_for(self._removes_groups, "the control groups are not empty")

    def _removes_groups(self) -> bool:
        """Whether the manager's control groups are gone; they can be removed when the last process in them is."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _REMOVE]
        return (
            subprocess.run(command, env=self.env | {"GROUP": self._group}, capture_output=True, check=False).returncode
            == 0
        )

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command beside the manager, to its end."""
        return subprocess.run(
            [*self._enter(), *command],
            env=self.env | env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )

    def popen(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """A command that goes on beside the test."""
        pipe = subprocess.PIPE
        command = (*self._enter(), *command)
        return subprocess.Popen(
            command, env=self.env | env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--target={self._init}", "--mount", "--pid", "--")

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``systemctl --user``."""
        return self.run("systemctl", "--user", *words)

    def show(self, name: str, unit: str = "rund.service") -> str:
        """One property of a unit."""
        return self.systemctl("show", f"--property={name}", "--value", unit).stdout.strip()

    def pid(self) -> int:
        """Of the service's daemon, as it is in the namespace; 0 if it does not run."""
        return int(self.show("MainPID") or 0)

    def signal(self, name: str, pid: int) -> bool:
        """Send a signal to a process of the namespace; whether it was there."""
        return pid > 0 and self.run("sh", "-c", f"kill -{name} {pid}").returncode == 0  # 0 would be our own group


class Served:
    """The service of one home, and clients of it."""

    def __init__(self, manager: UserManager, folder: Path) -> None:
        self.manager = manager
        self.folder = folder
        self.home = folder / "home"
        self.env = {"RUND_HOME": str(self.home)}

    def ctl(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """A command of `runctl`, to its end."""
        done = self.manager.run(str(BIN / "runctl"), *args, **self.env | env)
        assert "Traceback" not in done.stderr, done.stderr
        if check:
            assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done

    def json(self, *args: str) -> Any:
        """The answer of a command that succeeds, by ``--json``."""
        return json.loads(self.ctl(*args, "--json").stdout)

    def run_that_waits(self, name: str = "waits") -> tuple[str, Path]:
        """A run that has begun, and ends when the file that is answered too is there; answers its id."""
        script = self.folder / f"{name}.py"
        go = self.folder / f"{name}.go"
        script.write_text(
            f"import os, select\nprint('up', os.getpid())\n"
            f"while not os.path.exists({str(go)!r}):\n    select.select([], [], [], 0.05)\nprint('down', os.getpid())\n"
        )
        run_id = self.json("run", "-d", str(script))["run"]["id"]
        wait_for(lambda: "up" in self.ctl("logs", run_id).stdout, "the run does not begin")
        return run_id, go

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in for the service, in force from its next start."""
        folder = self.manager.units / "rund.service.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        assert self.manager.systemctl("daemon-reload").returncode == 0

    def close(self) -> None:
        """Take the service away, and end what it left."""
        self.ctl("service", "uninstall", check=False)
        self.manager.systemctl("stop", "rund.socket", "rund.service")
        self.manager.systemctl("reset-failed")
        shutil.rmtree(self.manager.folder / ".config", ignore_errors=True)
        self.manager.systemctl("daemon-reload")
        self.ctl("daemon", "stop", "--with-runs", check=False)


def wait_for(condition: Callable[[], Any], otherwise: str, seconds: float = 2 * DEADLINE) -> None:
    """Wait until ``condition`` holds; fails with ``otherwise``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        select.select([], [], [], 0.1)


requires_user_manager = pytest.mark.skipif(
    (reason := why_not()) is not None and (os.environ.get("CI") != "true" or "namespaces" in reason),
    reason=reason or "",
)
