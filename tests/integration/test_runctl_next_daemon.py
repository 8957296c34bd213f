"""A daemon that is killed in the middle of a request: the next one is asked, once, or as often as it takes to wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import runctl
from runctl.failures import NoDaemonError
from runctl.patience import GIVEN_UP, TOLD, Patience

from tests.integration.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    for name in [name for name in os.environ if name.startswith("RUND")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with fake_daemon(tmp_path / "socket") as daemon:
        monkeypatch.setenv("RUND_SOCKET", str(daemon.path))
        yield daemon


def killed_at_first(daemon: FakeDaemon, method: str, answer: object, times: int) -> None:
    """The daemon is killed at the first requests of ``method``, after it has carried them out."""
    left = [times]

    def reply(**_: object) -> object:
        left[0] -= 1
        if left[0] >= 0:
            daemon.hang_up(stopped=False)
        return answer

    daemon.answers[method] = reply


def test_a_change_is_asked_once_more_under_its_id(daemon: FakeDaemon) -> None:
    killed_at_first(daemon, "pause", {"paused": True}, 1)
    with runctl.connect(start=False) as rund:
        rund.pause()
        rund.pause()
    assert daemon.methods() == ["pause"] * 3
    first, again, other = daemon.request_ids
    assert first == again != other
    assert first is not None


def test_a_change_is_not_asked_a_third_time(daemon: FakeDaemon) -> None:
    killed_at_first(daemon, "pause", {"paused": True}, 5)
    with runctl.connect(start=False) as rund, pytest.raises(NoDaemonError, match="closed the connection"):
        rund.pause()
    assert daemon.methods() == ["pause"] * 2


def test_a_wait_goes_on_with_any_number_of_daemons(daemon: FakeDaemon) -> None:
    killed_at_first(daemon, "wait", {"runs": [], "done": True}, 5)
    with runctl.connect(start=False) as rund:
        assert rund.wait("6d0f")
    assert daemon.methods() == ["wait"] * 6


def test_what_a_daemon_that_was_stopped_left_is_asked_of_none(daemon: FakeDaemon) -> None:
    daemon.answers["wait"] = lambda **_: daemon.hang_up(stopped=True)
    with runctl.connect(start=False) as rund, pytest.raises(NoDaemonError, match="was stopped"):
        rund.wait("6d0f")
    assert daemon.methods() == ["wait"]


def test_the_async_client_does_the_same(daemon: FakeDaemon) -> None:
    killed_at_first(daemon, "pause", {"paused": True}, 1)
    killed_at_first(daemon, "wait", {"runs": [], "done": True}, 3)

    async def ask() -> None:
        async with runctl.connect_async(start=False) as rund:
            await rund.pause()
            assert await rund.wait("6d0f")

    anyio.run(ask)
    assert daemon.methods() == ["pause"] * 2 + ["wait"] * 4
    assert daemon.request_ids[0] == daemon.request_ids[1] is not None


def test_a_daemon_without_life_is_told_of_once_and_given_up() -> None:
    said: list[str] = []
    patience = Patience("/socket", said.append, waits=False)
    assert not patience.is_due(TOLD - 1)
    assert patience.is_due(1)
    patience.take(lives=True)
    assert not said
    assert not patience.is_due(TOLD - 1), "one that lives is left to work"
    for _ in range(int(GIVEN_UP / TOLD / 2)):  # each look takes as long as it is from one to the next
        patience.take(lives=False)
    with pytest.raises(NoDaemonError, match="hangs"):
        patience.take(lives=False)
    assert said == ["The daemon at /socket does not answer; waiting for it"]
