"""Submissions of many attempts: none waits for what another needs, and what they cost is bounded."""

from __future__ import annotations

import os
import signal
import threading

import anyio
import pytest

from rund.executor import fork_client, local, looking, shims
from rund.executor.fork_client import ForkClient
from rund.executor.handing import fork, hand_over
from rund.executor.local import LocalBackend
from rund.executor.shim_request import MOST_AGAIN
from rund.executor.shims import Shim
from tests.integration.attempts import (
    PATIENCE,
    Attempts,
    Bell,
    all_ended,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    descriptors,
    run,
)

pytestmark = pytest.mark.anyio


async def test_what_another_shim_has_taken_is_watched_while_the_fork_server_is_waited_for(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shims, "IDLE", PATIENCE)
    monkeypatch.setattr(fork_client, "_PATIENCE", 10 * PATIENCE)
    small = attempts.make("true")
    large = attempts.make("true", environment={"LARGE": "x" * MOST_AGAIN})
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        server = backend.fork_server_pid
        assert server is not None
        os.kill(server, signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(backend.submit, [large, small])
                await all_ended(backend, small)
                os.kill(server, signal.SIGCONT)
        finally:
            os.kill(server, signal.SIGCONT)
        await all_ended(backend, large)


async def test_stops_that_are_looked_after_cost_a_bounded_number_of_descriptors(
    attempts: Attempts, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, gate = threading.Event(), Bell(attempts.base / "gate")

    def hang(_: int) -> None:
        """Stands for a look that hangs."""
        go_on.wait(PATIENCE)

    monkeypatch.setattr(local, "end_hanging_execution", hang)
    many = [attempts.shell(f"trap '' TERM; echo ready >{bell.path}; read line <{gate.path}") for _ in range(24)]
    async with LocalBackend(leashes=0) as backend:
        assert await backend.submit(many) == {}
        for attempt in many:
            await bell.line()
            backend._watched[attempt.token].grace = 0.0  # that of the shim is long
        before = len(descriptors())
        await backend.cancel([attempt.token for attempt in many])
        with anyio.fail_after(PATIENCE):
            while backend._looking.threads.statistics().tasks_waiting < len(many) - looking.MOST:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert len(descriptors()) <= before + looking.MOST
        go_on.set()
        for _ in many:
            gate.ring()
        await all_ended(backend, *many)
    gate.close()


async def test_leashes_beyond_their_number_are_not_received(attempts: Attempts) -> None:
    client = ForkClient()
    try:
        handed = hand_over([attempts.make("true") for _ in range(3)], [])
        assert handed.outcomes == {}
        forked = [shim for shim in fork(handed.left, client, leashes=1).values() if isinstance(shim, Shim)]
        assert [shim.leash is not None for shim in forked] == [True, False, False]
        # Its leash is closed: else a shim that has no attempt would wait for another.
        for shim in [*forked[1:], forked[0]]:
            if shim is forked[0]:
                shim.let_go()
            with anyio.fail_after(PATIENCE):
                await anyio.wait_readable(shim.pidfd)
            shim.close()
    finally:
        client.close()
