"""A daemon that has no file descriptors left."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from rund.protocol import Notification
from tests.integration.serving import Client

SERVER = """
import resource, sys
from pathlib import Path
import anyio
sys.path.insert(0, sys.argv[2])
from tests.integration.serving import SmallAnswerer
from rund.server.limits import ServerLimits
from rund.server.listener import listen
from rund.server.serve import open_server

resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
listener = listen(Path(sys.argv[1]))
print("ready", flush=True)

async def serve():
    async with open_server(SmallAnswerer(), limits=ServerLimits()) as server:
        await server.accept(listener)

anyio.run(serve)
"""


def test_clients_are_turned_away_while_descriptors_are_short_and_served_again_after(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    command = [sys.executable, "-c", SERVER, str(path), str(Path(__file__).parent)]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        admitted = stack.enter_context(Client(path))
        assert admitted.call("append", value=0).error is None
        clients = [stack.enter_context(Client(path)) for _ in range(60)]
        served, refused = [], []
        for client in clients:
            with suppress(ConnectionError):  # it may have been turned away by now
                client.send("append", value=1)
            message = client.message()
            (refused if message is None or isinstance(message, Notification) else served).append(client)
        assert served
        assert len(refused) > 30
        assert admitted.call("append", value=2).error is None
        for client in served:
            client.socket.shutdown(socket.SHUT_WR)
            assert client.until_closed() == []
        with Client(path) as late:
            assert late.call("append", value=3).error is None
