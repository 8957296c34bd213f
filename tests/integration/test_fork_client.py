"""The daemon's side of the fork server, with a server of the test's own at the other end."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from rund.executor.fork_client import ForkClient, RefusedError
from rund.executor.shim_request import ANSWER, LENGTH

MANY = 300


def serve(channel: socket.socket) -> None:
    """Answer each request, one after the other, that no process could be started for it."""
    with channel:
        while True:
            data, locks, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
            for lock in locks:
                os.close(lock)
            if len(data) < LENGTH.size:
                return
            channel.recv(LENGTH.unpack(data)[0], socket.MSG_WAITALL)
            channel.sendall(ANSWER.pack(errno.EAGAIN))


def test_any_number_of_requests_is_answered_however_little_the_system_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)
        each.settimeout(60)
    server = threading.Thread(target=serve, args=[theirs])
    server.start()
    monkeypatch.setattr(ForkClient, "_running", lambda _: ours)
    locks = [os.open(tmp_path, os.O_PATH) for _ in range(MANY)]
    try:
        outcomes = ForkClient().fork_shims([(b"request", lock) for lock in locks], leashes=0)
    finally:
        ours.close()
        server.join(60)
    assert len(outcomes) == MANY
    assert all(isinstance(outcome, RefusedError) for outcome in outcomes)
