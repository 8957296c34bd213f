"""What one client, and all of them, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from rund.protocol.limits import REPLY_LIMITS, REQUEST_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds that keep one client's fault, or a thousand clients, from the others."""

    clients: int = 512
    in_flight: int = 64  # waiting requests of one client
    streams: int = 16  # subscriptions of one client
    unfinished_seconds: float = 30.0  # from the first byte of a message to its last
    unfinished_bytes: int = 256 * 1024 * 1024  # of the unfinished messages of all clients together
    write_seconds: float = 30.0  # from the first byte of a reply or notification to its last
    reply_bytes: int = REPLY_LIMITS.message_bytes
    message: Limits = field(default=REQUEST_LIMITS)
