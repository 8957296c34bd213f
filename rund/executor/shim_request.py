"""What a shim is asked to do, and its form on the channel to the fork server.

A request is its length (`LENGTH`), with the lock's descriptor beside the first byte, and JSON of that length.  An
answer is one `ANSWER`: 0, and a pidfd of the shim and the other end of its leash beside it, or why there is none.

The leash is a pair of sockets that keep messages apart.  When a shim has ended an attempt, and has let go of all that
was of it, it sends the attempt's token; a message to it is then a request for another attempt, with the lock beside it.
Until then nobody reads at the shim's end.
The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

LENGTH = struct.Struct("!I")
ANSWER = struct.Struct("!i")
FORKED = 0
MOST_AGAIN = 65_536  # bytes of a request to a shim that has ended an attempt; a longer one needs a new shim
FORKED_UNSEEN = -1  # it runs, but no pidfd of it could be opened; a positive answer is the errno of a fork that failed


class ShimRequest:
    """One attempt, as the shim needs it; `rund.executor.backend.Submission` tells what each value means."""

    # Not a dataclass: importing those would cost each shim memory.
    __slots__ = (
        "argv",
        "began",
        "cwd",
        "daemon",
        "directory",
        "environment",
        "grace",
        "output_limit",
        "started",
        "token",
    )

    def __init__(
        self,
        *,
        token: str,
        directory: str,
        cwd: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        grace: float,
        started: float,
        began: float,
        output_limit: int = 0,
        daemon: int = 0,
    ) -> None:
        self.token = token
        self.directory = directory
        self.cwd = cwd
        self.argv = argv
        self.environment = environment
        self.grace = grace
        self.output_limit = output_limit
        self.started = started
        self.began = began
        self.daemon = daemon  # whose SIGTERM means this attempt, though it may come before that is begun

    def time_at(self, moment: float) -> float:
        """Seconds since 1970 at ``moment``, in seconds since boot: the start and what has passed since.

        The machine's own clock may have been set meanwhile.
        """
        return self.started + (moment - self.began)


def encode_request(request: ShimRequest) -> bytes:
    """The JSON of ``request``; lone surrogates, which stand for bytes that are not UTF-8, come through."""
    fields = {name: getattr(request, name) for name in ShimRequest.__slots__}
    return json.dumps(fields | {"environment": dict(request.environment)}).encode("ascii")


def decode_request(data: bytes) -> ShimRequest:
    """The request that `encode_request` made ``data`` from."""
    return ShimRequest(**json.loads(data))
