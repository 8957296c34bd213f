"""Hands attempts to shims: to those that have ended another, and to new ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rund.executor.backend import Submission
from rund.executor.fork_client import ForkClient, RefusedError, UnknownOutcomeError
from rund.executor.framing import SHIM_LOCK
from rund.executor.locks import boot_id, hold_new
from rund.executor.shim_request import MOST_AGAIN, ShimRequest, encode_request
from rund.executor.shims import Shim

Outcome = Shim | RefusedError | UnknownOutcomeError


def hand_over(attempts: Sequence[Submission], client: ForkClient, idle: list[Shim], leashes: int) -> list[Outcome]:
    """Each attempt's shim, or why there is none; whichever of ``idle`` gets one, or is gone, is taken from that."""
    outcomes: dict[str, Outcome] = {}
    left: list[tuple[str, bytes, int]] = []
    for attempt in attempts:
        try:
            lock = hold_new(attempt.directory / SHIM_LOCK, f"{boot_id()}\n".encode())
        except FileExistsError:
            outcomes[attempt.token] = UnknownOutcomeError()
        except OSError as error:
            reason = str(error.strerror or error).lower()
            outcomes[attempt.token] = RefusedError(f"could not make its lock: {reason}")
        else:
            request = _request(attempt)
            shim = _taken_by(request, lock, idle) if len(request) <= MOST_AGAIN else None
            if shim is None:
                left.append((attempt.token, request, lock))
            else:
                outcomes[attempt.token] = shim
    answers = client.fork_shims([(request, lock) for _, request, lock in left], leashes=leashes)
    outcomes |= {token: answer for (token, *_), answer in zip(left, answers, strict=True)}
    return [outcomes[attempt.token] for attempt in attempts]


def _taken_by(request: bytes, lock: int, idle: list[Shim]) -> Shim | None:
    """The shim of ``idle`` that has taken the attempt; the lock is closed then."""
    while idle:
        shim = idle.pop()
        if shim.hand(request, lock):
            os.close(lock)
            return shim
        shim.close()  # it was killed, or there is no memory for the message
    return None


def _request(attempt: Submission) -> bytes:
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
