"""The daemon's settings: defaults, then ``config.toml``, then the environment; and where it lives.

``config.toml`` lies in the platform's user config folder for ``rund``.  Nothing below the daemon sees this module:
what others need they get as plain arguments.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from rund.errors import InvalidError
from rund.operations.regular_file import read_start

APPLICATION: Final = "rund"
_UNITS: Final = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LARGEST_FILE: Final = 2**20  # bytes of config.toml
_SMALLEST: Final = 2**20  # bytes; a limit below is more of a hindrance than of a help


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: how its value is read, and what it is for."""

    name: str
    read: Callable[[object], float]
    default: Callable[[], float]
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"RUND_{self.name.upper()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A setting's value, and where it comes from."""

    setting: Setting
    value: float
    origin: str  # "default", the path of config.toml, or the variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a daemon."""

    home: Path
    home_origin: str
    socket: Path
    socket_origin: str
    config: Path
    values: tuple[Value, ...]

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return int(self._value("slots"))

    @property
    def grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return self._value("grace")

    @property
    def output_limit(self) -> int:
        """Bytes of output that each attempt keeps; 0: all."""
        return int(self._value("output_limit"))

    @property
    def backups(self) -> int:
        """How many daily backups are kept; 0: none is made."""
        return int(self._value("backups"))

    def _value(self, name: str) -> float:
        return next(value.value for value in self.values if value.setting.name == name)

    def rows(self) -> list[dict[str, Any]]:
        """Each setting with its value, origin and meaning."""
        places = [
            {"name": "home", "value": str(self.home), "origin": self.home_origin, "help": "the store of runs"},
            {
                "name": "socket",
                "value": str(self.socket),
                "origin": self.socket_origin,
                "help": "where clients connect",
            },
        ]
        return places + [
            {"name": row.setting.name, "value": row.value, "origin": row.origin, "help": row.setting.help}
            for row in self.values
        ]


def _processors() -> float:
    return len(os.sched_getaffinity(0))


def _slots(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError("a whole number from 1 to 1000000")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise ValueError("seconds from 0 to 86400")
    return float(value)


def _few(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise ValueError("a whole number from 0 to 1000")
    return value


def _size(value: object) -> float:
    if isinstance(value, str) and value[:-1].isdecimal() and value[-1:] in _UNITS:
        value = int(value[:-1]) * _UNITS[value[-1]]
    if isinstance(value, bool) or not isinstance(value, int) or (value and not _SMALLEST <= value <= 2**50):
        raise ValueError("bytes from 1M to 1024T, as 512M or 2G, or 0 for no limit")
    return value


SETTINGS: Final = (
    Setting(name="slots", read=_slots, default=_processors, help="how many slots there are: runs that run at once"),
    Setting(name="grace", read=_seconds, default=lambda: 10.0, help="seconds between SIGTERM and SIGKILL when stopped"),
    Setting(
        name="output_limit",
        read=_size,
        default=lambda: 2**30,
        help="bytes of output that each attempt keeps, its end; 0: all",
    ),
    Setting(name="backups", read=_few, default=lambda: 2, help="how many daily backups the home keeps; 0: none"),
)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that hold for a daemon started with ``environ``; raises `InvalidError`, naming file and setting."""
    config = _user_folder(platformdirs.user_config_dir) / "config.toml"
    file = _read_config(config)
    home, home_origin = _home(environ)
    socket, socket_origin = _socket(environ, home)
    return Settings(
        home=home,
        home_origin=home_origin,
        socket=socket,
        socket_origin=socket_origin,
        config=config,
        values=tuple(_setting(setting, environ, file, config) for setting in SETTINGS),
    )


def _home(environ: Mapping[str, str]) -> tuple[Path, str]:
    given = environ.get("RUND_HOME")
    if given:
        if not given.isprintable():
            raise InvalidError(f"RUND_HOME is {given!r}: give a path of printable UTF-8")
        return Path(given).absolute(), "RUND_HOME"
    return _user_folder(platformdirs.user_data_dir), "default"


def _user_folder(find: Callable[[str], str]) -> Path:
    try:
        return Path(find(APPLICATION))
    except RuntimeError:
        raise InvalidError(f"user {os.getuid()} has no home folder here: set HOME to a folder") from None


def _socket(environ: Mapping[str, str], home: Path) -> tuple[Path, str]:
    given = environ.get("RUND_SOCKET")
    if given:
        return Path(given).absolute(), "RUND_SOCKET"
    name = hashlib.blake2b(os.fsencode(home), digest_size=8).hexdigest()
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    # A relative one is to be ignored: XDG Base Directory Specification.
    folder = Path(runtime) / "rund" if runtime.startswith("/") else Path(f"/tmp/rund-{os.getuid()}")  # noqa: S108 - made with 0700
    return folder / f"{name}.sock", "default"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        data = read_start(path, _LARGEST_FILE + 1)
        content = tomllib.loads("" if data is None else data.decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise InvalidError(f"{path} is not UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"{path} is not TOML: {error}") from None
    if data is None or len(data) > _LARGEST_FILE:
        raise InvalidError(f"{path} is no file of settings: it is {'too large' if data else 'no regular file'}")
    known = [setting.name for setting in SETTINGS]
    for name in content:
        if name not in known:
            raise InvalidError(f"{path}: there is no setting {name!r}: there are {', '.join(known)}")
    return content


def _setting(setting: Setting, environ: Mapping[str, str], file: Mapping[str, Any], config: Path) -> Value:
    text = environ.get(setting.variable)
    if text:
        return Value(setting=setting, value=_read(setting, _number(text), setting.variable), origin=setting.variable)
    if setting.name in file:
        return Value(
            setting=setting, value=_read(setting, file[setting.name], f"{config}: {setting.name}"), origin=str(config)
        )
    return Value(setting=setting, value=setting.default(), origin="default")


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read(setting: Setting, value: object, where: str) -> float:
    try:
        return setting.read(value)
    except ValueError as error:
        raise InvalidError(f"{where} is {value!r}: give {error}") from None
