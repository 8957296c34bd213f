"""How the daemon's file descriptors are shared out: to clients, to runs that run, and to its own work.

A running run costs one, a client too; neither may take what the other, or the daemon itself, needs.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

_WANTED: Final = 65_536
_OWN: Final = 64  # the database, the log, sources while they are copied, ...
_MOST_CLIENTS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """The limit that trials are to have, and how many clients and runs the daemon has room for."""

    soft: int
    clients: int
    runs: int


def take_descriptors() -> Descriptors:
    """Raise this process's limit as far as may be; answers how what it gives is shared out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    clients, runs = share_out(wanted)
    return Descriptors(soft=soft, clients=clients, runs=runs)


def share_out(limit: int) -> tuple[int, int]:
    """How many clients, and how many runs at once, there is room for with so many descriptors; some in any case."""
    rest = limit - _OWN
    clients = max(4, min(_MOST_CLIENTS, rest // 4))
    return clients, max(1, rest - clients)
