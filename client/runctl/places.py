"""Where the daemon's home and socket are, for a client that has not found them yet.

- The home is ``$RUND_HOME``, else ``rund`` in the platform's user data folder: as platformdirs says, whose import would
  cost more than the whole command.
- The socket is ``$RUND_SOCKET``; else what the daemon wrote into the file ``socket`` of its home; else the default
  path, where a socket unit listens before any daemon ran.
"""

from __future__ import annotations

import os

from rund.errors import InvalidError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_NOTE = 4096  # bytes
_KIND, _REGULAR = 0o170000, 0o100000  # of `os.stat_result.st_mode`; the module stat would cost the start


def home(environ: Mapping[str, str]) -> str:
    """The absolute path of the home that ``environ`` means."""
    given = environ.get("RUND_HOME")
    if given:
        if not given.isprintable():
            raise InvalidError(f"RUND_HOME is {given!r}: give a path of printable UTF-8")
        return absolute(given)
    return absolute(f"{_data_folder(environ)}/rund")


def absolute(path: str) -> str:
    """``path`` as `pathlib.Path.absolute` gives it: ``..`` stays.  Importing pathlib would cost the start."""
    whole = path if path.startswith("/") else f"{working_folder()}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))


def working_folder() -> str:
    """Where the person stands; raises `InvalidError` if that was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib would cost the start
    except FileNotFoundError:
        raise InvalidError("the folder that you are in was removed: change to one that is there") from None


def _data_folder(environ: Mapping[str, str]) -> str:
    data = environ.get("XDG_DATA_HOME", "")
    # A relative one is to be ignored, here and below: XDG Base Directory Specification.
    return data if data.startswith("/") else f"{user_folder(environ)}/.local/share"


def user_folder(environ: Mapping[str, str]) -> str:
    """The user's own folder; raises `InvalidError` where neither ``$HOME`` nor the system's list of users tells it."""
    folder = environ.get("HOME", "")
    if folder.startswith("/"):
        return folder
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise InvalidError(f"user {os.getuid()} has no home folder here: set HOME to a folder") from None


def sockets(environ: Mapping[str, str]) -> Iterator[str]:
    """The paths at which the daemon may answer, the likeliest first."""
    given = environ.get("RUND_SOCKET")
    if given:
        yield absolute(given)
    else:
        yield from home_sockets(environ)


def home_sockets(environ: Mapping[str, str]) -> Iterator[str]:
    """The paths at which the daemon of this home may answer, whatever ``$RUND_SOCKET`` says."""
    folder = home(environ)
    written = _written_socket(folder)
    if written is not None:
        yield written
    default = default_socket(folder, environ)
    if default != written:
        yield default


def is_certain(path: str, environ: Mapping[str, str]) -> bool:
    """Whether the daemon that ``environ`` means must answer at ``path``, which is not only told by a note."""
    return bool(environ.get("RUND_SOCKET")) or path == default_socket(home(environ), environ)


def _written_socket(folder: str) -> str | None:
    """The path that the daemon wrote into its home; None if none ever did, or what stands there is no path."""
    written = (start_of_file(f"{folder}/socket") or b"").strip()
    is_path = written.startswith(b"/") and len(written) < _LONGEST_NOTE and not any(byte in written for byte in b"\0\n")
    return os.fsdecode(written) if is_path else None


def start_of_file(path: str, most: int = _LONGEST_NOTE) -> bytes | None:
    """The first bytes of a regular file; None if it cannot be read, or is something else, which could block."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        regular = os.fstat(file).st_mode & _KIND == _REGULAR
        return os.read(file, most) if regular else None
    except OSError:
        return None
    finally:
        os.close(file)


def default_socket(folder: str, environ: Mapping[str, str]) -> str:
    """The path at which the daemon of the home ``folder`` listens unless told otherwise."""
    import hashlib

    name = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return f"{runtime}/rund/{name}.sock" if runtime.startswith("/") else f"/tmp/rund-{os.getuid()}/{name}.sock"  # noqa: S108 - made 0700
