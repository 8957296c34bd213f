"""The socket goes and comes, the server stays."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.abc
import anyio.from_thread

from rund.door import Door
from rund.protocol import Notification
from rund.server.limits import ServerLimits
from rund.server.listener import listen
from rund.server.serve import Server, open_server
from tests.integration.serving import PATIENCE, Client, SmallAnswerer


async def serve(door: Door, limits: ServerLimits) -> None:
    with door.open():
        async with open_server(SmallAnswerer(), limits=limits) as server:
            await door.serve(server)


@contextmanager
def at_a_door(path: Path, **limits: int) -> Iterator[None]:
    home = path.parent / "home"
    home.mkdir()
    door = Door(path, home / "socket")
    with anyio.from_thread.start_blocking_portal() as portal:
        serving = portal.start_task_soon(serve, door, ServerLimits(**limits))
        try:
            wait_until(lambda: serving.done() or path.exists())
            assert not serving.done(), serving.exception()
            yield
        finally:
            serving.cancel()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        select.select([], [], [], 0.01)


def open_again(path: Path) -> None:
    """Remove the socket, and wait until there is another one: as long as the old one listens its number is not reused."""
    gone = path.stat()
    path.unlink()
    wait_until(lambda: path.exists() and not os.path.samestat(path.stat(), gone))


def test_clients_of_all_sockets_that_there_were_are_bounded_together(tmp_path: Path) -> None:
    path = tmp_path / "rund.sock"
    with at_a_door(path, clients=2), Client(path) as first:
        assert first.call("append", value=1).error is None
        open_again(path)
        with Client(path) as second:
            assert second.call("append", value=2).result == [1, 2]
            open_again(path)
            with Client(path) as third:
                (refusal,) = third.until_closed()
                assert isinstance(refusal, Notification)
                assert "the daemon serves 2 clients" in str(refusal.params)
            assert first.call("append", value=3).result == [1, 2, 3]


def test_a_socket_that_was_replaced_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "rund.sock"

    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    with at_a_door(path), Client(path) as client:
        assert client.call("append", value=1).error is None
        before = descriptors()
        for _ in range(5):
            open_again(path)
            assert client.call("append", value=2).error is None
        wait_until(lambda: descriptors() <= before)
        moved = path.with_name("moved")
        path.rename(moved)
        wait_until(path.exists)
        wait_until(lambda: refuses(moved))
        with Client(path) as other:
            assert other.call("append", value=3).error is None


def refuses(path: Path) -> bool:
    """Whether nobody listens any more at the socket of ``path``."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == errno.ECONNREFUSED


def test_a_note_that_was_removed_is_written_again_but_not_at_once(tmp_path: Path) -> None:
    note = tmp_path / "home" / "socket"
    with at_a_door(tmp_path / "rund.sock"):
        wait_until(note.exists)
        removed = time.monotonic()
        note.unlink()
        wait_until(note.exists)
        assert time.monotonic() - removed > 4, "who removes the home finds it not empty"


def test_who_waits_at_a_socket_that_is_given_up_is_served(tmp_path: Path) -> None:
    path = tmp_path / "rund.sock"
    with listen(path) as listener, Client(path) as first, Client(path) as second, served() as (portal, server):
        portal.call(server.accept_last, listener)
        assert first.call("append", value=1).error is None
        assert second.call("append", value=2).result == [1, 2]


@contextmanager
def served(**limits: int) -> Iterator[tuple[anyio.abc.BlockingPortal, Server]]:
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_server(SmallAnswerer(), limits=ServerLimits(**limits))) as server,
    ):
        yield portal, server


def test_no_more_are_let_in_from_a_socket_that_is_given_up_than_there_is_room_for(tmp_path: Path) -> None:
    path = tmp_path / "rund.sock"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(path))
        clients = [stack.enter_context(Client(path)) for _ in range(5)]
        portal, server = stack.enter_context(served(clients=2))
        portal.call(server.accept_last, listener)
        for client in clients[:2]:
            assert client.call("append", value=1).error is None
        for client in clients[2:]:
            (refusal,) = client.until_closed()
            assert isinstance(refusal, Notification)
            assert "the daemon serves 2 clients" in str(refusal.params)


def test_a_listener_that_nobody_waits_at_is_given_up_at_once(tmp_path: Path) -> None:
    with listen(tmp_path / "rund.sock") as listener, served() as (portal, server):
        portal.call(server.accept_last, listener)
