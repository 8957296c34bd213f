"""The user's service manager, as far as ``runctl`` has to do with it: systemctl, units in their folder, lingering."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Final

from runctl.places import start_of_file, user_folder
from runctl.service_units import SOCKET, UNITS, Installed, read
from rund.errors import InternalError, InvalidError, UnsupportedError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE: Final = 120.0  # seconds for one command of systemctl
_LONGEST_UNIT: Final = 1_048_576  # bytes
_LINGER: Final = Path("/var/lib/systemd/linger")


class UserManager:
    """``systemctl --user`` for the user of ``environ``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        own = runtime if runtime.startswith("/") else f"/run/user/{os.getuid()}"
        self._environ = {**environ, "XDG_RUNTIME_DIR": own}

    @property
    def runtime(self) -> str:
        """The user's runtime folder."""
        return self._environ["XDG_RUNTIME_DIR"]

    def check(self) -> None:
        """Raise `UnsupportedError` if no user manager answers."""
        done = self._run("systemctl", "--user", "show", "--property=Version")
        if done.returncode != 0:
            raise UnsupportedError(
                f"no user manager of systemd answers ({_last_line(done)}): log in as this user, or go without the"
                " service: runctl starts a daemon by itself"
            )

    def do(self, *words: str) -> None:
        """Carry out a command of systemctl; raises `InternalError` with what it said if it does not succeed."""
        done = self._run("systemctl", "--user", *words)
        if done.returncode != 0:
            raise InternalError(f"`systemctl --user {' '.join(words)}` did not succeed: {_last_line(done)}")

    def attempt(self, *words: str) -> bool:
        """Whether a command of systemctl succeeds."""
        return self._run("systemctl", "--user", *words).returncode == 0

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit; those of a unit that is not there are empty."""
        wanted = [f"--property={name}" for name in names]
        lines = self._run("systemctl", "--user", "show", *wanted, unit).stdout.splitlines()
        return dict.fromkeys(names, "") | dict(line.split("=", 1) for line in lines if "=" in line)

    def lingering(self) -> bool | None:
        """Whether the user's manager, and with it every run, outlives the last session; None if that cannot be told."""
        name = _user_name()
        done = self._run("loginctl", "show-user", name, "--property=Linger", "--value")
        if done.returncode == 0 and done.stdout.strip() in ("yes", "no"):
            return done.stdout.strip() == "yes"
        try:
            return (_LINGER / name).exists() if _LINGER.is_dir() else None
        except OSError:
            return None

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - programs of systemd, with arguments of our own
                command,
                env=self._environ | {"SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
            )
        except FileNotFoundError:
            return subprocess.CompletedProcess(command, 127, "", f"there is no {command[0]} here")
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"it did not end within {_PATIENCE:g} s")


def unit_folder(environ: Mapping[str, str]) -> Path:
    """The folder of the user's own units; raises `InvalidError` where nothing tells the user's own folder."""
    config = environ.get("XDG_CONFIG_HOME", "")
    if not config.startswith("/"):  # a relative one is to be ignored: XDG Base Directory Specification
        config = f"{user_folder(environ)}/.config"
    return Path(config, "systemd", "user")


def installed(environ: Mapping[str, str], unit: str = SOCKET) -> Installed | None:
    """What the unit that ``runctl service install`` put in place serves; None if it put none there."""
    try:
        text = start_of_file(str(unit_folder(environ) / unit), _LONGEST_UNIT)
        return None if text is None else read(text.decode())
    except (UnicodeDecodeError, InvalidError):
        return None


def strangers(environ: Mapping[str, str]) -> list[Path]:
    """Units of rund's names in the user's folder that somebody else put there."""
    try:
        paths = [unit_folder(environ) / unit for unit in UNITS]
    except InvalidError:
        return []
    return [path for path in paths if os.path.lexists(path) and installed(environ, path.name) is None]


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container
        return str(os.getuid())


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"
