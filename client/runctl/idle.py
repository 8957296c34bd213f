"""Whether a connection that was kept for later can still be used."""

from __future__ import annotations

import select


def hung_up(descriptor: int) -> bool:
    """Whether the other end of a stream is closed, whatever of it is still to be read."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return bool(poll.poll(0))
