"""Hostile clients, each a process of its own: ``python -m tests.faults.attacks NAME [--socket PATH] [--seed TEXT]``.

Without ``--socket`` the daemon that RUND_HOME means is attacked.  An attack goes on until it is ended; what the daemon
makes of it, be it an answer, a refusal or a closed connection, is of no interest to it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rund.protocol import (
    CLIENT,
    NEED_DATA,
    Connection,
    ProtocolError,
    Response,
    encode_notification,
    encode_request,
)

Attack = Callable[[str], None]  # one round of it, on the socket at this path
MEGABYTE = 1024 * 1024
PATIENCE = 5.0  # seconds that one round waits for the daemon


@contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        yield client


def send(client: socket.socket, data: bytes) -> None:
    """Send what the daemon takes of ``data`` before it closes the connection, or the patience is over."""
    with suppress(OSError):
        client.sendall(data)


def read_to_the_end(client: socket.socket) -> None:
    """Read until the daemon closes the connection, or has nothing to say for a while."""
    client.settimeout(0.2)
    with suppress(OSError):
        while client.recv(65_536):
            pass


def answer(client: socket.socket, data: bytes) -> object:
    """The result of one honest request; raises `ConnectionError` if there is no room for this client."""
    client.sendall(data)
    connection = Connection(CLIENT)
    while (message := connection.next_message()) is NEED_DATA:
        connection.receive_data(client.recv(65_536))
    if not isinstance(message, Response):
        raise ConnectionError("the daemon has turned this client away")
    return message.result


def run_ids(path: str) -> list[str]:
    """The ids of the runs that are there."""
    with connected(path) as client:
        result = answer(client, encode_request(1, "list", [{}]))
    assert isinstance(result, dict)
    return [run["id"] for run in result["runs"]]


def tell(path: str, data: bytes) -> None:
    """One connection that sends ``data`` and reads what comes of it."""
    with connected(path) as client:
        send(client, data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        read_to_the_end(client)


def garbage(path: str) -> None:
    """Bytes of no sense."""
    tell(path, random.randbytes(random.randrange(1, 100_000)))


def half_garbage(path: str) -> None:
    """The head of a request, and bytes of no sense for its params."""
    tell(path, b"\x94\x00\x01\xa4list" + random.randbytes(random.randrange(1, 1000)))


def truncated(path: str) -> None:
    """A request that is cut off anywhere."""
    whole = encode_request(1, "set", [{"runs": ["@1"], "label": "x" * random.randrange(1000)}])
    tell(path, whole[: random.randrange(1, len(whole))])


def oversized(path: str) -> None:
    """Requests of more than a message may have."""
    tell(path, encode_request(1, "run", [{"flags": {"x": ["y" * MEGABYTE for _ in range(12)]}}]))


def nested(path: str) -> None:
    """Arrays in arrays, and maps in maps, without end."""
    tell(path, random.choice((b"\x91", b"\x94\x00\x01\xa4list\x91" + b"\x81\xa1x")) * 200_000)


def claims(path: str) -> None:
    """Gigabytes that are claimed and never come."""
    head = random.choice((b"\xdb", b"\xc6", b"\xdd", b"\xdf"))
    tell(path, b"\x94\x00\x01\xa3run\x91" + head + struct.pack(">I", random.choice((2**32 - 1, 2**31, 7 * MEGABYTE))))


def odd_values(path: str) -> None:
    """Extension types, keys that come twice or are no strings, numbers that are none."""
    key = b"\x94\x00\x01\xa4list\x91"
    odd = (
        key + b"\xd4\x01\x00",
        key + b"\x82\xa5limit\x01\xa5limit\x02",
        key + b"\x81\x01\x02",
        b"\x94\x00\x01\xa4wait\x91" + b"\x82\xa4runs\x90\xa7timeout\xcb" + struct.pack(">d", float("nan")),
        b"\x94\x00\x01\xa6events\x91" + b"\x81\xa7timeout\xcb" + struct.pack(">d", float("inf")),
        b"\x94\xcb" + struct.pack(">d", float("nan")) + b"\x01\xa4list\x90",
        b"\x94\x00\x01\xa4list\x91\x81\xa5limit\xcb" + struct.pack(">d", float("nan")),
    )
    tell(path, random.choice(odd))


def intricate(path: str) -> None:
    """Requests within all limits, of as many values as they may have."""
    shape = random.choice((b"\x80", b"\x90", b"\x81\xa0\x90", b"\x01"))
    values = 250_000 if shape[0] == 0x81 else 900_000
    tell(path, b"\x94\x00\x01\xa3run\x91\x81\xa5flags\x81\xa1x\xdd" + struct.pack(">I", values) + shape * values)


def refused(path: str) -> None:
    """Requests of eight megabytes that are refused: for their method, their params, or what they mean."""
    large = "y" * (8 * MEGABYTE - 1000)
    requests = (
        encode_request(1, large, []),
        encode_request(1, "show", [{large: 1}]),
        encode_request(1, "show", [{"run": large}]),
        encode_request(1, "run", [{"operation": "x.py", "cwd": "/", "flags": {"x": large}}]),
        encode_request(1, "subscribe", [{"method": "event", "prefix": [large], "after": -1}]),
    )
    tell(path, random.choice(requests))


def unfinished(path: str) -> None:
    """Three hundred clients that never finish a message."""
    claim = b"\x94\x00\x01\xdb" + struct.pack(">I", 7 * MEGABYTE)
    with ExitStack() as stack:
        for _ in range(300):
            with suppress(OSError):
                client = stack.enter_context(connected(path))
                client.settimeout(0)
                client.send(claim + b"x" * random.randrange(200_000))
        select.select([], [], [], PATIENCE)


def never_reads(path: str) -> None:
    """Sixteen clients that ask for output, lists and events, and read none of it."""
    ids = run_ids(path)
    requests = [encode_request(1, "output", [{"run": run, "limit": MEGABYTE}]) for run in ids]
    requests += [encode_request(2, "list", [{"limit": 10_000}]), encode_request(3, "events", [{"after": 0}])]
    asked = itertools.cycle(requests)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(path)) for _ in range(16)]
        for client in clients:
            client.settimeout(0)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and clients:
            _, able, _ = select.select([], clients, [], 0.1)
            for client in able:
                try:
                    client.send(next(asked) * 20)
                except BlockingIOError:
                    pass
                except OSError:
                    clients.remove(client)


def flood(path: str) -> None:
    """Eight clients that send tiny requests as fast as they are taken."""
    tiny = [
        encode_request(1, "status", []),
        encode_request(2, "nothing", []),
        encode_request(3, "show", [{"run": "@9"}]),
    ]
    data = b"".join(random.choice(tiny) for _ in range(500)) + encode_notification("nobody", []) * 2000
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(path)) for _ in range(8)]
        unsent = {client: memoryview(data) for client in clients}
        for client in clients:
            client.settimeout(0)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            able, ready, _ = select.select(clients, clients, [], 0.1)
            for client in able:
                client.recv(MEGABYTE)
            for client in ready:
                with suppress(BlockingIOError):
                    unsent[client] = unsent[client][client.send(unsent[client]) :] or memoryview(data)


def vanishes(path: str) -> None:
    """A client that asks for a change and is gone while it is committed."""
    with connected(path) as client:
        client.sendall(encode_request(1, "set", [{"runs": ["@1"], "label": str(random.random())}]))


def deaf_subscribers(path: str) -> None:
    """Subscribers that stop reading, while things happen."""
    with ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(connected(path))
            send(client, encode_request(1, "subscribe", [{"after": 0, "prefix": ["x" * 50_000]}]) * 16)
        changing = stack.enter_context(connected(path))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer(changing, encode_request(1, "set", [{"runs": ["@1"], "label": str(random.random())}]))


def waits(path: str) -> None:
    """Requests that wait for ever, as many and as large as they may be."""
    long_wait = encode_request(1, "wait", [{"runs": ["@1"] * 10_000, "timeout": 3600}])
    with ExitStack() as stack:
        for _ in range(16):
            client = stack.enter_context(connected(path))
            client.settimeout(0.5)
            send(client, encode_request(1, "events", [{"timeout": 3600}]) * 40 + long_wait * 60)
        select.select([], [], [], 1.0)


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        garbage,
        half_garbage,
        truncated,
        oversized,
        nested,
        claims,
        odd_values,
        intricate,
        refused,
        unfinished,
        never_reads,
        flood,
        vanishes,
        deaf_subscribers,
        waits,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.attacks", description=__doc__)
    parser.add_argument("name", choices=ATTACKS)
    parser.add_argument("--socket", help="the daemon's socket")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument(
        "--seed", help="text that the attack's choices follow from; without it, they are others each time"
    )
    options = parser.parse_args()
    random.seed(options.seed)
    path = options.socket or (Path(os.environ["RUND_HOME"]) / "socket").read_text().strip()
    attack = ATTACKS[options.name]
    until = time.monotonic() + options.seconds
    print("begun", flush=True)
    while time.monotonic() < until:
        try:
            attack(path)
        except (ConnectionError, TimeoutError, BlockingIOError, ProtocolError):
            select.select([], [], [], 0.01)  # it has been dropped, or there is no room for it


if __name__ == "__main__":
    main()
