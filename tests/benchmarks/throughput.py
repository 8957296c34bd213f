"""Requests per second of one client and of a hundred, against a bare anyio server that echoes with the same codec.

Each client sends its next request when it has the answer to the one before.  The clients are one process, the same for
both servers, which knows the size of an answer and reads nothing of it: so what is measured is the servers'.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rund.protocol import CLIENT, NEED_DATA, Connection, encode_request
from tests.benchmarks.own_daemon import own_daemon
from tests.benchmarks.row import Row, row_of

ROUNDS = 5
CLIENTS = (1, 100)
SECONDS, QUICK = 2.0, 0.05
AT_MOST = 2.5  # as long as an echo, which is 0.4 of its requests per second


def run(rounds: int, *, quick: bool) -> list[Row]:
    """The rows of ``rounds`` rounds."""
    seconds = QUICK if quick else SECONDS
    taken: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="throughput-") as name, ExitStack() as stack:
        folder = Path(name)
        daemon = stack.enter_context(own_daemon(folder / "rund", slots=1))
        (daemon.folder / "noop.py").write_text("x = 0\n")
        daemon.ctl("run", "noop.py")
        servers = {
            "show": str((Path(daemon.env["RUND_HOME"]) / "socket").read_text().strip()),
            "echo": stack.enter_context(echo_server(folder / "echo")),
        }
        request = encode_request(7, "show", [{"run": "@1"}])
        for _ in range(rounds):
            for clients in CLIENTS:
                for server, path in servers.items():
                    taken.setdefault((server, clients), []).append(per_request(path, request, clients, seconds) * 1e6)
    rows = []
    for clients in CLIENTS:
        who = f"{clients} client{'s' if clients > 1 else ''}"
        shown, echoed = taken["show", clients], taken["echo", clients]
        rows.append(row_of(f"a show, {who}", shown, "us", against="anyio echo", other=echoed, bound=AT_MOST))
        rows.append(row_of(f"an echo, {who}", echoed, "us"))
    return rows


@contextmanager
def echo_server(path: Path) -> Iterator[str]:
    """The bare server, at the path that is answered."""
    command = [sys.executable, "-m", "tests.benchmarks.echo_server", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield str(path)
        finally:
            server.terminate()


def per_request(path: str, request: bytes, clients: int, seconds: float) -> float:
    """Seconds for each request of so many ``clients`` at once."""
    with ExitStack() as stack:
        left: dict[int, int] = {}  # bytes of the answer still to come, by descriptor
        by_descriptor: dict[int, socket.socket] = {}
        size = 0
        poll = select.epoll()
        stack.callback(poll.close)
        for _ in range(clients):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            size = _answer_size(client, request)
            poll.register(client, select.EPOLLIN)
            by_descriptor[client.fileno()] = client
        begun = time.perf_counter()
        for descriptor, client in by_descriptor.items():
            client.sendall(request)
            left[descriptor] = size
        answered = 0
        while left:
            for descriptor, _ in poll.poll():
                client = by_descriptor[descriptor]
                left[descriptor] -= len(client.recv(65_536))
                if not left[descriptor]:
                    answered += 1
                    if time.perf_counter() - begun < seconds:
                        left[descriptor] = size
                        client.sendall(request)
                    else:
                        del left[descriptor]
        return (time.perf_counter() - begun) / answered


def _answer_size(client: socket.socket, request: bytes) -> int:
    """How many bytes the answer to ``request`` has."""
    connection = Connection(CLIENT)
    client.sendall(request)
    size = 0
    while connection.next_message() is NEED_DATA:
        data = client.recv(65_536)
        size += len(data)
        connection.receive_data(data)
    return size
