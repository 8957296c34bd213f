"""The Python client, blocking and async: the same names, and no call holds up another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import runctl
from runctl.async_client import AsyncClient
from runctl.async_run import AsyncRun
from runctl.client import Client
from runctl.run import Run

from tests.integration.fake_daemon import ID, PATIENCE, FakeDaemon, Story, a_plan, a_run, fake_daemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.delenv("RUND_HOME", raising=False)
    monkeypatch.setenv("RUND_SOCKET", str(tmp_path / "socket"))
    with fake_daemon(tmp_path / "socket") as daemon:
        yield daemon


@pytest.fixture
def story(daemon: FakeDaemon) -> Story:
    story = Story(daemon)
    answer = lambda **_: {"run": story.run, "plan": a_plan(created=[ID])}  # noqa: E731
    daemon.answers |= {"run": answer, "restart": answer}
    return story


def test_a_run_is_made_and_waited_for(daemon: FakeDaemon, story: Story) -> None:
    with runctl.connect() as rund:
        run = rund.run("train.py", flags={"lr": 0.1}, tags=("a", "b"))
        assert (run.id, run.status, run.flags) == (ID, "pending", {"x": 1.0, "y": 2, "z": "a"})
        story.tell(status="running", attempts=1, output=b"out\n")
        story.tell(status="completed", exit_status=0)
        assert run.wait()
        assert (run.status, run.exit_status, run.output()) == ("completed", 0, b"out\n")
        assert b"".join(run.follow()) == b"out\n"
        assert repr(run) == "<Run 6d0f7a11 echo.py completed>"
    params = dict(daemon.asked)["run"]
    assert (params["flags"], params["tags"]) == ({"lr": 0.1}, ["a", "b"])


@pytest.mark.anyio
async def test_a_run_is_made_and_waited_for_async(daemon: FakeDaemon, story: Story) -> None:
    async with runctl.connect_async() as rund:
        run = await rund.run("train.py", flags={"lr": 0.1})
        assert run.status == "pending"
        story.tell(status="running", attempts=1, output=b"out\n")
        story.tell(status="completed", exit_status=0)
        assert await run.wait()
        assert (run.status, await run.output()) == ("completed", b"out\n")
        assert [part async for part in run.follow()] == [b"out\n"]
    assert dict(daemon.asked)["run"]["flags"] == {"lr": 0.1}


@pytest.mark.parametrize(("kind", "twin"), [(Client, AsyncClient), (Run, AsyncRun)])
def test_sync_and_async_have_the_same_names(kind: type, twin: type) -> None:
    public = {name for name in dir(kind) if not name.startswith("_")} - {"close"}
    assert public == {name for name in dir(twin) if not name.startswith("_")} - {"aclose"}


def test_a_call_that_waits_holds_up_no_other_thread(daemon: FakeDaemon) -> None:
    opened = threading.Event()

    def wait(**_: Any) -> Any:
        assert opened.wait(PATIENCE)
        return {"runs": [], "done": True}

    daemon.answers |= {"wait": wait, "pause": {"paused": True}}
    done = []
    with runctl.connect() as rund:
        threads = [threading.Thread(target=lambda: done.append(rund.wait("6d0f"))) for _ in range(5)]
        for thread in threads:
            thread.start()
        rund.pause()
        opened.set()
        for thread in threads:
            thread.join(PATIENCE)
        connections = daemon.connections
        rund.pause()
    assert done == [True] * 5
    assert daemon.connections == connections <= 6


@pytest.mark.anyio
async def test_a_wait_that_is_cancelled_leaves_the_client_usable(daemon: FakeDaemon) -> None:
    opened = threading.Event()

    def wait(**_: Any) -> Any:
        opened.wait(PATIENCE)
        return {"runs": [], "done": True}

    daemon.answers |= {"wait": wait, "list": {"runs": [a_run()], "total": 1, "next": None}}
    async with runctl.connect_async() as rund:
        with anyio.move_on_after(0.05) as scope:
            await rund.wait("6d0f")
        assert scope.cancelled_caught
        assert [run.id for run in await rund.runs(status=["pending"])] == [ID]
        opened.set()


def test_a_client_outlives_a_daemon_that_is_replaced(daemon: FakeDaemon) -> None:
    daemon.answers["pause"] = {"paused": True}
    with runctl.connect() as rund:
        rund.pause()
        daemon.hang_up()
        rund.pause()
    assert daemon.connections == 2


@pytest.mark.anyio
async def test_an_async_client_outlives_a_daemon_that_is_replaced(daemon: FakeDaemon) -> None:
    daemon.answers["pause"] = {"paused": True}
    async with runctl.connect_async() as rund:
        await rund.pause()
        daemon.hang_up()
        await rund.pause()
    assert daemon.methods() == ["pause", "pause"]


def test_errors_are_those_of_rund_and_leave_the_connection_usable(daemon: FakeDaemon) -> None:
    daemon.answers |= {"show": runctl.NotFoundError("no run 'abcd'"), "pause": {"paused": True}}
    with runctl.connect() as rund:
        with pytest.raises(runctl.NotFoundError, match="no run 'abcd'"):
            rund.get("abcd")
        rund.pause()
    assert daemon.connections == 1
    with pytest.raises(runctl.InvalidError, match="closed"):
        rund.pause()


def test_a_daemon_that_hangs_up_within_a_call_is_told(daemon: FakeDaemon) -> None:
    daemon.answers["pause"] = lambda **_: daemon.hang_up()
    with runctl.connect() as rund, pytest.raises(runctl.NoDaemonError, match="was stopped"):
        rund.pause()


def test_no_run_is_purged_unless_named(daemon: FakeDaemon) -> None:
    daemon.answers["purge"] = {"runs": []}
    with runctl.connect() as rund:
        rund.purge()
        rund.purge(everything=True)
    assert [params for _, params in daemon.asked] == [{"runs": []}, {}]


def test_importing_the_client_loads_no_loop_until_it_is_asked_for() -> None:
    script = "import runctl, sys; runctl.connect; assert 'anyio' not in sys.modules; runctl.connect_async"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert asyncio.iscoroutinefunction(AsyncClient.call)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = runctl.nonsense  # type: ignore[attr-defined]  # what is tested
