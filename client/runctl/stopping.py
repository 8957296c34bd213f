"""Ends a daemon and waits until it is gone."""

from __future__ import annotations

import os

from runctl.failures import NoDaemonError

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.connection import Connection


def stop_daemon(connection: Connection, *, with_runs: bool = False) -> dict[str, object]:
    """Stop the daemon at the other end, and wait until it is gone, and with it its lock on the home.

    Raises `NoDaemonError` if it ends before it was asked to.
    """
    import select

    pid = connection.call("status")["pid"]
    try:
        process = os.pidfd_open(pid)
    except OSError:
        raise NoDaemonError(f"the daemon (pid {pid}) ended before it was asked to: `runctl daemon status`") from None
    try:
        answer: dict[str, object] = connection.call("shutdown", with_runs=with_runs)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll()
    finally:
        os.close(process)
    return answer
