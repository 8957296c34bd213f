"""A small daemon that answers by a table, over a real socket; and a story of one run that it can tell."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rund.errors import InvalidError, RundError, error_text
from rund.protocol import CLOSED, NEED_DATA, SERVER, Connection, Request, encode_notification, encode_response

PATIENCE = 60.0  # seconds until a test gives up
ID = "6d0f7a11" + "0" * 24

Answer = Callable[..., Any]


class FakeDaemon:
    """Answers each request with what ``answers`` has for its method: a value, or a function of the params.

    Each request has a thread of its own, so that those which wait hold up no other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.request_ids: list[str | None] = []  # of what was asked
        self.connections = 0
        self.on_close: Callable[[], None] = lambda: None
        self._clients: list[socket.socket] | None = []  # None: it is closed
        self._changing = threading.Lock()  # the clients
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        self._start(self._accept)

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]

    def hang_up(self, *, stopped: bool = True) -> None:
        """End every connection, as a daemon that a client has stopped, or else as one that was killed."""
        with self._changing:
            clients, self._clients = self._clients, []
        self._hang_up(clients or [], stopped=stopped)

    def _hang_up(self, clients: list[socket.socket], *, stopped: bool) -> None:
        for client in clients:
            with suppress(OSError):  # the client was first
                if stopped:
                    client.sendall(encode_notification("closing", ["the daemon was stopped by a client"]))
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changing:
            clients, self._clients = self._clients, None
        self._hang_up(clients or [], stopped=True)
        self.on_close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._changing:
                if self._clients is None:
                    client.close()
                    return
                self._clients.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        connection = Connection(SERVER)
        with client:
            while (message := connection.next_message()) is not CLOSED:
                if message is NEED_DATA:
                    connection.receive_data(self._received(client))
                elif isinstance(message, Request):
                    assert isinstance(message.params, list)
                    (params,) = message.params or [{}]
                    self.request_ids.append(params.pop("request_id", None))
                    self.asked.append((message.method, params))
                    if message.method in ("wait", "output", "events"):
                        self._start(self._reply, client, message, params)
                    else:
                        self._reply(client, message, params)

    def _received(self, client: socket.socket) -> bytes:
        try:
            return client.recv(65_536)
        except OSError:
            return b""

    def _reply(self, client: socket.socket, request: Request, params: dict[str, Any]) -> None:
        answer = self.answers.get(request.method, InvalidError(f"unknown method {request.method!r}"))
        try:
            if isinstance(answer, RundError):
                raise answer
            data = encode_response(request.msgid, None, answer(**params) if callable(answer) else answer)
        except RundError as error:
            data = encode_response(request.msgid, error_text(error), None)
        except (TypeError, KeyError, AssertionError) as error:  # the test's fault: do not let it wait
            data = encode_response(request.msgid, f"internal: {error!r}", None)
        try:
            client.sendall(data)
        except OSError:
            return


@contextmanager
def fake_daemon(path: Path) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(path)
    try:
        yield daemon
    finally:
        daemon.close()


class Story:
    """One run whose state, output and events a test tells step by step, to all who wait for them."""

    def __init__(self, daemon: FakeDaemon, **attrs: Any) -> None:
        self._told = threading.Condition()
        self.run: dict[str, Any] = a_run(**attrs)
        self.events: list[dict[str, Any]] = []
        self.outputs: dict[int, bytes] = {}
        self.over: set[int] = set()
        self.hint: str | None = None
        self.waits_for: str | None = None
        self._closed = False
        self.on_output: Callable[[int], None] | None = None
        daemon.on_close = self._close
        daemon.answers |= {
            "events": self._events,
            "output": self._output,
            "show": self._show,
            "wait": lambda **_: {"runs": [self.run], "done": True},
        }

    def tell(self, *, output: bytes = b"", **attrs: Any) -> None:
        """Change the run, add to the output of its latest attempt, and make an event of it."""
        with self._told:
            self.run = {**self.run, **attrs}
            attempt = self.run["attempts"]
            self.outputs[attempt] = self.outputs.get(attempt, b"") + output
            running = self.run["status"] == "running"
            self.over = {number for number in self.outputs if number < attempt or not running}
            self.events.append({"number": len(self.events) + 1, "runs": [ID], "kind": "changed"})
            self._told.notify_all()

    def _close(self) -> None:
        with self._told:
            self._closed = True
            self._told.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout: float) -> None:
        self._told.wait_for(lambda: self._closed or condition(), min(timeout, PATIENCE))

    def _show(self, **_: Any) -> dict[str, Any]:
        operation = {"name": "echo.py", "kind": "python", "entry": "echo.py", "project_dir": "/project", "flags": []}
        return {
            "run": self.run,
            "attempts": [],
            "operation": operation,
            "environment": None,
            "slots": 1,
            "priority": 0,
            "batch_options": None,
            "waits_for": self.waits_for,
            "hint": self.hint,
        }

    def _events(self, *, after: int | None = None, timeout: float = 0.0) -> dict[str, Any]:
        with self._told:
            if after is None:
                return {"events": [], "last": len(self.events), "reset": False}
            self._wait(lambda: len(self.events) > after, timeout)
            return {"events": self.events[after:], "last": len(self.events), "reset": False}

    def _output(self, *, offset: int, attempt: int | None = None, timeout: float = 0.0, **_: Any) -> dict[str, Any]:
        attempt = attempt or self.run["attempts"]
        assert attempt is not None
        if self.on_output is not None:
            self.on_output(attempt)
        with self._told:
            start = max(0, len(self.outputs[attempt]) + offset) if offset < 0 else offset
            self._wait(lambda: len(self.outputs[attempt]) > start or attempt in self.over, timeout)
            data = self.outputs[attempt][start:]
            return {
                "data": data,
                "attempt": attempt,
                "offset": start,
                "next": start + len(data),
                "end": attempt in self.over,
                "size": len(self.outputs[attempt]),
                "dropped": 0,
            }


def a_run(**attrs: Any) -> dict[str, Any]:
    """A run as the wire has it."""
    return {
        "id": ID,
        "operation": "echo.py",
        "status": "pending",
        "reason": None,
        "flags": {"x": 1.0, "y": 2, "z": "a"},
        "label": None,
        "tags": [],
        "batch": None,
        "made_by": None,
        "random_seed": 7,
        "created": 0.0,
        "started": None,
        "stopped": None,
        "exit_status": None,
        "signal": None,
        "attempts": 0,
        "dir": "/runs/6d",
        "scalars": {},
        **attrs,
    }


def a_plan(**lists: Any) -> dict[str, Any]:
    """A plan in which nothing happens but what is given."""
    names = ("created", "restarted", "skipped", "kept", "taken_back", "orphaned", "deleted")
    return {name: [] for name in names} | lists
