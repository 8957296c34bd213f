"""Hands attempts to shims: to those that have ended another, and to new ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rund.executor.backend import Submission
from rund.executor.fork_client import ForkClient, RefusedError, UnknownOutcomeError
from rund.executor.framing import SHIM_LOCK
from rund.executor.locks import boot_id, hold_new
from rund.executor.shim_request import MOST_AGAIN, ShimRequest, encode_request
from rund.executor.shims import Shim

Outcome = Shim | RefusedError | UnknownOutcomeError


class Request(NamedTuple):
    """An attempt that is to be handed over, with its lock, which is held."""

    token: str
    encoded: bytes
    lock: int


class Handed(NamedTuple):
    """What became of attempts, by token, and what needs a new shim."""

    outcomes: dict[str, Outcome]
    left: list[Request]


def hand_over(attempts: Iterable[Submission], idle: list[Shim]) -> Handed:
    """Hand attempts to shims of ``idle``, as far as there are some: who gets one, or is gone, is taken from that."""
    handed = Handed({}, [])
    for attempt in attempts:
        try:
            lock = hold_new(attempt.directory / SHIM_LOCK, f"{boot_id()}\n".encode())
        except FileExistsError:
            handed.outcomes[attempt.token] = UnknownOutcomeError()
        except OSError as error:
            reason = str(error.strerror or error).lower()
            handed.outcomes[attempt.token] = RefusedError(f"could not make its lock: {reason}")
        else:
            request = Request(attempt.token, _encoded(attempt), lock)
            shim = _taken_by(request, idle) if len(request.encoded) <= MOST_AGAIN else None
            if shim is None:
                handed.left.append(request)
            else:
                handed.outcomes[attempt.token] = shim
    return handed


def fork(requests: Sequence[Request], client: ForkClient, leashes: int) -> dict[str, Outcome]:
    """What became of each attempt that needs a new shim, by token; at most so many of these have ``leashes``."""
    answers = client.fork_shims([(request.encoded, request.lock) for request in requests], leashes=leashes)
    return {request.token: answer for request, answer in zip(requests, answers, strict=True)}


def _taken_by(request: Request, idle: list[Shim]) -> Shim | None:
    """The shim of ``idle`` that has been given the attempt; the lock is closed then."""
    while idle:
        shim = idle.pop()
        if shim.hand(request.encoded, request.lock):
            os.close(request.lock)
            return shim
        shim.close()  # it was killed, or there is no memory for the message
    return None


def _encoded(attempt: Submission) -> bytes:
    return encode_request(
        ShimRequest(
            token=attempt.token,
            directory=_text(attempt.directory),
            cwd=_text(attempt.cwd),
            argv=attempt.argv,
            environment=attempt.environment,
            grace=attempt.grace,
            output_limit=attempt.output_limit,
            started=attempt.started,
            began=attempt.began,
            daemon=os.getpid(),
        )
    )


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "surrogateescape")
