"""What the daemon tells the service manager, on sockets of both kinds."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import pytest

from rund.systemd import ServiceManager, take_environment


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_messages_arrive(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@rund-test-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0") if kind == "abstract" else name)
        receiver.settimeout(60)
        manager = ServiceManager({"NOTIFY_SOCKET": name})
        manager.needs_longer("brings up to date")
        manager.starting("takes back")
        manager.ready("serves")
        manager.alive()
        manager.stopping("stops")
        told = [receiver.recv(4096) for _ in range(5)]
    assert told == [
        b"EXTEND_TIMEOUT_USEC=600000000\nSTATUS=brings up to date",
        b"STATUS=takes back",
        b"READY=1\nSTATUS=serves",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=stops",
    ]


def test_a_manager_that_is_gone_or_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    ServiceManager({}).ready("serves")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("serves")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "deaf"))
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "deaf")})
        for _ in range(2000):  # more than any queue takes
            manager.alive()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_this_process_own(given: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager(given).watchdog == seconds


def test_what_the_manager_gave_is_taken_out_of_the_environment() -> None:
    environ = {"NOTIFY_SOCKET": "/n", "LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "PATH": "/bin"}
    assert take_environment(environ)["NOTIFY_SOCKET"] == "/n"
    assert environ == {"PATH": "/bin"}
