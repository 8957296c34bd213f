"""Ends a daemon and waits until it is gone."""

from __future__ import annotations

import os

from rund.errors import InternalError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.connection import Connection

PATIENCE = 60.0  # seconds until a daemon that was told to end must have: it gives itself ten


def stop_daemon(connection: Connection, *, with_runs: bool = False) -> dict[str, object]:
    """Stop the daemon at the other end, and wait until it is gone, and with it its lock on the home.

    Raises `InternalError` for one that has not ended after a minute.
    """
    import select

    pid = connection.call("status")["pid"]
    try:
        process = os.pidfd_open(pid)
    except OSError:  # it has just ended, which is what this tells
        gone: dict[str, object] = connection.call("shutdown", with_runs=with_runs)
        return gone
    try:
        answer: dict[str, object] = connection.call("shutdown", with_runs=with_runs)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(PATIENCE * 1000):
            raise InternalError(
                f"the daemon (pid {pid}) was told to stop and has not ended: it hangs; end it with `kill -9 {pid}`,"
                " runs go on"
            )
    finally:
        os.close(process)
    return answer
