"""Clients of a daemon that cannot serve are told so, however many, and whatever they have sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from runctl.reach import reach

from rund.errors import BusyError, InvalidError
from rund.server.listener import listen
from rund.server.turning_away import turn_all_away


def test_all_that_wait_are_told_why(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(path) as listener:
        clients = [reach({"RUND_SOCKET": str(path)}, start=False) for _ in range(20)]
        asked = [client.send("status") for client in clients]
        clients[0].close()
        assert turn_all_away(listener, BusyError("another has the home")) == 20
        for client, number in zip(clients[1:], asked[1:], strict=True):
            with pytest.raises(BusyError, match="another has the home"):
                client.answer(number)
            client.close()
        assert turn_all_away(listener, InvalidError("nobody is there")) == 0


def test_at_a_closed_socket_nobody_waits(tmp_path: Path) -> None:
    listener = listen(tmp_path / "socket")
    listener.close()
    assert turn_all_away(listener, InvalidError("it is closed")) == 0
