"""Clients of one batch that note what they asked, what was answered, and when."""

from __future__ import annotations

import random
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from runctl import NoDaemonError
from runctl.client import Client
from runctl.reach import reach

from rund.errors import RundError
from tests.faults.batch_history import (
    Answer,
    Call,
    Delete,
    Deleted,
    Event,
    Read,
    Refused,
    Restart,
    Restarted,
    Seen,
)
from tests.faults.linearizability import Operation
from tests.process.conftest import DEADLINE

LIVE: Final = ("pending", "running")
_TWICE: Final = 0.3  # of the requests with a name are asked on two connections at once
_VALUES: Final = ((1,), (1, 2), (2, 3), (1, 2, 3))


@dataclass(slots=True)
class Notes:
    """What all clients have noted."""

    events: list[Event] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)


class BatchClient(threading.Thread):
    """One client with connections of its own; ``repeats``: it names its requests, and repeats those without answer."""

    def __init__(self, environ: Mapping[str, str], batch: str, notes: Notes, *, seed: int, repeats: bool) -> None:
        super().__init__(name=f"client-{seed}")
        self._environ = environ
        self._batch = batch
        self._notes = notes
        self._chance = random.Random(seed)
        self._repeats = repeats
        self._seen: tuple[str, ...] = ()
        self._requests = 0
        self._client: Client | None = None
        self.ending = threading.Event()

    def run(self) -> None:
        """Ask until told to end."""
        try:
            while not self.ending.is_set():
                self.ask(self._choice())
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self._notes.faults.append(error)
        finally:
            self.hang_up()

    def _choice(self) -> Call:
        kind = self._chance.random()
        if kind < 0.35:
            return Read()
        if kind < 0.5 and self._seen:
            return Delete(ids=tuple(self._chance.sample(self._seen, min(len(self._seen), self._chance.randint(1, 2)))))
        values = [None, None, *_VALUES]
        needed = self._chance.random() < 0.6
        return Restart(xs=self._chance.choice(values), ys=self._chance.choice(values), needed=needed)

    def ask(self, call: Call) -> Answer | None:
        """Ask once, or until it is answered, and note it; None: there was no answer."""
        self._requests += 1
        method, params, read = self._request(call)
        named = self._repeats and not isinstance(call, Read)
        if named:
            params["request_id"] = f"{self.name}-{self._requests}"
        self._connected()
        asked = time.monotonic()
        answer = None
        if named and self._chance.random() < _TWICE:
            answer = self._twice(method, params, read)
        if answer is None:
            answer = self._answer(read, lambda client: client.call(method, **params))
        while answer is None and named:
            answer = self._answer(read, lambda client: client.call(method, **params))
        # Without an answer the stream has ended: so has the daemon, with all its threads.
        self._notes.events.append(Operation(call=call, answer=answer, asked=asked, over=time.monotonic()))
        if isinstance(answer, Seen):
            self._seen = answer.trials
        return answer

    def _request(self, call: Call) -> tuple[str, dict[str, Any], Callable[[Any], Answer]]:
        """The method and params of ``call``, and how its result is read."""
        match call:
            case Restart():
                args = [f"{name}={list(values)}" for name, values in (("x", call.xs), ("y", call.ys)) if values]
                return "restart", {"run": self._batch, "args": args, "needed": call.needed}, _restarted
            case Delete():
                return "delete", {"runs": list(call.ids)}, _deleted
            case Read() if self._chance.random() < 0.7:
                return "list", {"batch": self._batch, "limit": 100}, _listed
            case Read():
                return "show", {"run": self._batch}, _shown

    def _twice(self, method: str, params: dict[str, Any], read: Callable[[Any], Answer]) -> Answer | None:
        """Ask the same on two connections at once: it is done once, and both have the first reply.

        A refusal is no such reply: what was refused on one connection may be done for the other.
        """
        answers = []
        with suppress(NoDaemonError), reach(self._environ, start=False) as connection:
            number = connection.send(method, **params)
            answers.append(self._answer(read, lambda client: client.call(method, **params)))
            answers.append(self._answer(read, lambda _: connection.answer(number)))
        done = [answer for answer in answers if answer is not None and not isinstance(answer, Refused)]
        assert done[1:] in ([], done[:1]), f"one request had two replies: {done}"
        return next(iter(done), None if None in answers else next(iter(answers), None))

    def _answer(self, read: Callable[[Any], Answer], ask: Callable[[Client], Any]) -> Answer | None:
        self._connected()
        assert self._client is not None
        try:
            return read(ask(self._client))
        except NoDaemonError:
            self.hang_up()
            return None
        except RundError as error:
            return Refused(code=error.code)

    def _connected(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while self._client is None:
            try:
                self._client = Client(self._environ, start=False)
            except NoDaemonError:
                assert time.monotonic() < deadline, "no daemon came back"
                select.select([], [], [], 0.01)

    def hang_up(self) -> None:
        """End the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _restarted(reply: Mapping[str, Any]) -> Restarted:
    plan = {name: tuple(ids) for name, ids in reply["plan"].items()}
    return Restarted(generation=reply["generation"], trials=tuple(reply["trials"]), **plan)


def _deleted(_: object) -> Deleted:
    return Deleted()


def _listed(reply: Mapping[str, Any]) -> Seen:
    runs = reply["runs"]
    return Seen(
        generation=reply["generation"],
        trials=tuple(run["id"] for run in runs),
        keys=tuple((run["flags"]["x"], run["flags"]["y"]) for run in runs),
        live=tuple(run["id"] for run in runs if run["status"] in LIVE),
    )


def _shown(reply: Mapping[str, Any]) -> Seen:
    run = reply["run"]
    live = sum(run["counts"][status] for status in LIVE)
    return Seen(generation=run["generation"], trials=tuple(run["trials"]), live=live)
