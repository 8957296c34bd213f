"""What one client, and all of them, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from rund.protocol.limits import REPLY_LIMITS, REQUEST_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds that keep one client's fault, or a thousand clients, from the others."""

    clients: int = 512
    in_flight: int = 64  # waiting requests of one client
    waiting_bytes: int = 4 * 1024 * 1024  # that they hold
    streams: int = 16  # subscriptions of one client
    subscription_bytes: int = 1024 * 1024  # that they hold
    held_bytes: int = 128 * 1024 * 1024  # that all clients hold together
    large_bytes: int = 64 * 1024  # a message that holds more is read a piece at a time, and answered alone
    unfinished_seconds: float = 30.0  # from the first byte of a message to its last
    write_seconds: float = 30.0  # from the first byte of a reply or notification to its last
    reply_bytes: int = REPLY_LIMITS.message_bytes
    message: Limits = field(default=REQUEST_LIMITS)
