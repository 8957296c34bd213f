"""A server on a real socket in a thread of its own, an answerer that does little, and plain clients."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel

from rund.errors import FullError, InvalidError
from rund.handlers.peer import Peer
from rund.protocol import (
    CLIENT,
    CLOSED,
    NEED_DATA,
    Connection,
    Notification,
    Packed,
    Request,
    Response,
    encode_request,
)
from rund.server.limits import ServerLimits
from rund.server.listener import listen
from rund.server.serve import open_server
from rund.store.askers import asker

PATIENCE = 60.0  # seconds until a test gives up


class SmallAnswerer:
    """Answers a few methods; each says in one line what it is for."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.ended: list[object] = []  # what was cancelled
        self.made = 0
        self.refusals: list[weakref.ref[InvalidError]] = []
        self.remembered: dict[bytes, Packed] = {}
        self._gates: dict[str, anyio.Event] = {}

    def gate(self, name: str) -> anyio.Event:
        return self._gates.setdefault(name, anyio.Event())

    def open_gates(self) -> None:
        for gate in self._gates.values():
            gate.set()

    def waits(self, request: Request) -> bool:
        return request.method in ("wait", "wait_astray")

    def kept(self, request: Request) -> Packed | None:
        return self.remembered.get(request.asked)

    async def answer(self, peer: Peer, request: Request) -> object:
        params = request.params
        given: dict[str, Any] = params[0] if isinstance(params, list) and params else {}
        return await getattr(self, f"answer_{request.method}")(peer, **given)

    async def answer_append(self, _: Peer, value: object, turns: int = 0) -> object:
        """Changes something, after giving ``turns`` to others."""
        for _turn in range(turns):
            await anyio.lowlevel.checkpoint()
        self.values.append(value)
        return list(self.values[-10:])

    async def answer_wait(self, peer: Peer, gate: str, size: int = 0) -> object:
        """Waits until somebody opens the gate; then makes an answer of a size, in its turn."""
        self.gate(f"{gate} is waited for").set()
        try:
            await self.gate(gate).wait()
        except anyio.get_cancelled_exc_class():
            self.ended.append(gate)
            self.gate(f"{gate} has ended").set()
            raise
        if not size:
            return gate
        await peer.turn()
        self.made += 1
        return "x" * size

    async def answer_wait_astray(self, _: Peer) -> object:
        """Waits, and lets out a cancellation that nobody asked for."""
        await anyio.lowlevel.checkpoint()
        raise anyio.get_cancelled_exc_class()

    async def answer_open(self, _: Peer, gate: str) -> object:
        """Opens a gate."""
        self.gate(gate).set()
        return gate

    async def answer_pass(self, _: Peer, gate: str) -> object:
        """Waits for a gate in its place in the order of requests."""
        await self.gate(gate).wait()
        return gate

    async def answer_change(self, _: Peer, gate: str, padding: object = None) -> object:
        """Begins a change, however large, and ends it when the gate is opened."""
        self.values.append("begun")
        self.gate("begun").set()
        await self.gate(gate).wait()
        self.values.append("done")
        self.gate("done").set()
        return None

    async def answer_asker(self, _: Peer) -> object:
        """For whom is read."""
        return id(asker.get())

    async def answer_big(self, _: Peer, size: int) -> object:
        self.made += 1
        return "x" * size

    async def answer_refuse(self, _: Peer, size: int = 1) -> object:
        error = InvalidError(f"{'x' * size}: no such flag; did you mean y?")
        self.refusals.append(weakref.ref(error))
        raise error

    async def answer_fault(self, _: Peer) -> object:
        raise ValueError("secret detail")

    async def answer_odd(self, _: Peer) -> object:
        return object()

    async def answer_stray(self, _: Peer) -> object:
        """Lets out a cancellation that nobody asked for."""
        raise anyio.get_cancelled_exc_class()

    async def answer_subscribe(
        self, peer: Peer, size: int = 1, *, padding: str = "", faulty: bool = False, refused: bool = False
    ) -> object:
        async def stream() -> None:
            count = 0
            try:
                while True:
                    if refused:
                        raise FullError("no room for a stream")
                    if faulty:
                        raise ValueError("a fault in a stream")
                    count += 1
                    await peer.notify("event", [count, "x" * size])
            finally:
                self.ended.append("stream")
                self.gate("stream has ended").set()

        number = peer.start(stream)
        for _turn in range(10):  # a stream that began at once would send before the answer
            await anyio.lowlevel.checkpoint()
        return number

    async def answer_unsubscribe(self, peer: Peer, number: int | None = None) -> object:
        return peer.cancel(number)


class Served:
    """A server that runs; left, all that it had is cancelled."""

    def __init__(self, path: Path, limits: ServerLimits, portal: anyio.abc.BlockingPortal) -> None:
        self.path = path
        self.answerer = SmallAnswerer()
        self.listener = listen(path)
        self._portal = portal
        self._serving = portal.start_task_soon(_serve, self.listener, self.answerer, limits)

    def client(self) -> Client:
        return Client(self.path)

    def open(self, gate: str) -> None:
        self._portal.call(self.answerer.gate(gate).set)

    def cancel(self) -> None:
        """Begin to end the server."""
        assert not self._serving.done(), "the server ended by itself"
        self._serving.cancel()

    def close(self) -> None:
        """End the server, also where a test that failed left its gates shut."""
        try:
            if not self._serving.cancelled():
                self.cancel()
        finally:
            self._portal.call(self.answerer.open_gates)
            self.listener.close()


@contextmanager
def serving(path: Path, **limits: Any) -> Iterator[Served]:
    with anyio.from_thread.start_blocking_portal() as portal:
        served = Served(path, ServerLimits(**limits), portal)
        try:
            yield served
        finally:
            served.close()


async def _serve(listener: socket.socket, answerer: SmallAnswerer, limits: ServerLimits) -> None:
    async with open_server(answerer, limits=limits) as server:
        await server.accept(listener)


class Client:
    """A client that blocks, with PATIENCE."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.notifications: list[Notification] = []
        self._connection = Connection(CLIENT)
        self._last = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str, **params: object) -> int:
        self._last += 1
        self.socket.sendall(encode_request(self._last, method, [params]))
        return self._last

    def call(self, method: str, **params: object) -> Response:
        msgid = self.send(method, **params)
        response = self.response()
        assert response.msgid == msgid
        return response

    def response(self) -> Response:
        while not isinstance(message := self.message(), Response):
            assert message is not None, "the server closed the connection"
            self.notifications.append(message)
        return message

    def message(self) -> Response | Notification | None:
        """The next message; None if the server closed the connection."""
        while (message := self._connection.next_message()) is NEED_DATA:
            try:
                data = self.socket.recv(65_536)
            except ConnectionResetError:
                return None
            self._connection.receive_data(data)
        if message is CLOSED:
            return None
        assert isinstance(message, (Response, Notification))
        return message

    def until_closed(self) -> list[Response | Notification]:
        """What still comes before the server closes the connection."""
        return list(iter(self.message, None))
