"""How large and how intricate a message may be."""

from __future__ import annotations


class Limits:
    """Bounds on one message; what it costs to hold and to read follows from them, not from what it claims.

    ``message_bytes``: of the whole message.  ``depth``: arrays and maps within one another, the message itself the
    first.  ``values``: of all kinds together, which bounds the memory of what is decoded.  ``string_bytes``: of one
    string or binary.  ``array_length``, ``map_length``: of one array, and of one map in pairs.
    """

    __slots__ = ("array_length", "depth", "map_length", "message_bytes", "string_bytes", "values")

    def __init__(
        self,
        *,
        message_bytes: int = 8 * 1024 * 1024,
        depth: int = 32,
        values: int = 1_000_000,
        string_bytes: int = 8 * 1024 * 1024,
        array_length: int = 1_000_000,
        map_length: int = 100_000,
    ) -> None:
        self.message_bytes = message_bytes
        self.depth = depth
        self.values = values
        self.string_bytes = string_bytes
        self.array_length = array_length
        self.map_length = map_length


REQUEST_LIMITS = Limits()  # a request carries an environment and flags
REPLY_LIMITS = Limits(message_bytes=64 * 1024 * 1024, string_bytes=64 * 1024 * 1024, values=20_000_000)
