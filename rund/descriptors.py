"""How the daemon's file descriptors are shared out: to clients, to runs that run, and to its own work.

A running run costs one, a client too; neither may take what the other, or the daemon itself, needs.  The leash by which
a shim gets another attempt costs one besides; runs start without, but faster with one.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from rund.errors import InvalidError

_WANTED: Final = 65_536
_OWN: Final = 64  # the database, the log, sources while they are copied, ...
_LEAST: Final = 80
_MOST_CLIENTS: Final = 512
_MOST_LEASHES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """The limit that trials are to have, and how many clients, leashes and runs at once the daemon has room for."""

    soft: int
    clients: int
    leashes: int
    runs: int


def take_descriptors() -> Descriptors:
    """Raise this process's limit as far as may be; answers how what it gives is shared out.

    Raises `InvalidError` where that is not enough for a daemon.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if wanted < _LEAST:
        raise InvalidError(f"only {wanted} files may be open at once, and rund needs {_LEAST}: see ulimit -Hn")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return share_out(wanted, soft=soft)


def share_out(limit: int, *, soft: int) -> Descriptors:
    """How ``limit`` descriptors are shared out; there is room for some clients and one run in any case."""
    rest = limit - _OWN
    clients = max(4, min(_MOST_CLIENTS, rest // 4))
    leashes = max(0, min(_MOST_LEASHES, (rest - clients) // 4))
    return Descriptors(soft=soft, clients=clients, leashes=leashes, runs=max(1, rest - clients - leashes))
