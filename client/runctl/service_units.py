"""The text of the units that ``runctl service install`` puts in place, and what is read back from it.

Rules:

- The units that lie in ``systemd/`` are templates: what depends on this installation, its home and its socket replaces
  or follows the line that says it there.
- A section ``X-Rund``, which systemd passes over, tells in plain text whose units they are.

Sources: systemd.syntax(7) for quoting, systemd.unit(5) for ``%``, systemd.service(5) for command lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rund.errors import InvalidError

SOCKET: Final = "rund.socket"
SERVICE: Final = "rund.service"
UNITS: Final = (SOCKET, SERVICE)
_LONGEST: Final = 107  # bytes of a socket's path
_NOT_EXECUTED: Final = frozenset("\"'\\")
_SECTION: Final = "[X-Rund]"
_MARK: Final = """\
# Written by `runctl service install`, and removed by `runctl service uninstall`. Changes go into a drop-in:
# `systemctl --user edit rund`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the units are to serve, and with what."""

    python: str  # the interpreter of this installation
    home: str
    socket: str
    config: str | None = None  # XDG_CONFIG_HOME, where the daemon would look for its settings; None: the usual place


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an installed unit says of itself."""

    home: str
    socket: str


def render(name: str, template: str, installation: Installation) -> str:
    """The unit ``name``, from its template; raises `InvalidError` for a path that a unit cannot hold."""
    _check(installation)
    lines = {
        "ExecStart=": [f"ExecStart={_command(installation.python)}", *_environment(installation)],
        "ListenStream=": [f"ListenStream={escaped_specifiers(installation.socket)}"],
    }
    written: list[str] = []
    for line in template.splitlines():
        key = line[: line.find("=") + 1]
        written += lines.get(key, [line])
    tail = ["", _SECTION, f"Home={installation.home}", f"Socket={installation.socket}", ""]
    return _MARK + "\n".join(written + tail)


def read(text: str) -> Installed | None:
    """What the text of a unit says of itself; None if it was not written by `render`."""
    if not text.startswith(_MARK):
        return None
    section = text.rpartition(f"\n{_SECTION}\n")[2]
    values = dict(line.split("=", 1) for line in section.splitlines() if "=" in line)
    if "Home" not in values or "Socket" not in values:
        return None
    return Installed(home=values["Home"], socket=values["Socket"])


def quoted(text: str) -> str:
    """``text`` as one word of a command line or an assignment."""
    return '"' + escaped_specifiers(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped_specifiers(text: str) -> str:
    """``text`` without specifiers."""
    return text.replace("%", "%%")


def _command(python: str) -> str:
    # Without the colon variables would be put into the name that the interpreter finds its modules by.
    literal = ":" if "$" in python else ""
    return f"{literal}{quoted(python)} -P -m rund"


def _environment(installation: Installation) -> list[str]:
    values = {"RUND_HOME": installation.home, "XDG_CONFIG_HOME": installation.config}
    return [f"Environment={quoted(f'{name}={value}')}" for name, value in values.items() if value is not None]


def _check(installation: Installation) -> None:
    for path in (installation.python, installation.home, installation.socket, installation.config or ""):
        if not path.isprintable():
            raise InvalidError(f"{path!r} cannot stand in a unit of systemd: it must be printable UTF-8")
    if set(installation.python) & _NOT_EXECUTED:
        raise InvalidError(f"systemd starts nothing whose path has quotes or backslashes: move {installation.python}")
    socket = installation.socket
    if len(socket.encode()) > _LONGEST:
        raise InvalidError(f"the socket's path {socket} has over {_LONGEST} bytes: set RUND_SOCKET to a shorter one")
    if socket != socket.strip() or socket.endswith("\\"):
        raise InvalidError(f"the socket's path {socket!r} cannot stand in a unit: set RUND_SOCKET to another")
