"""A daemon that is told to stop is waited for, and not for ever."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runctl import stopping
from runctl.connection import Connection, open_stream

from rund.errors import InternalError
from tests.integration.fake_daemon import FakeDaemon


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Stands for the daemon's process."""
    process = subprocess.Popen(["sleep", "infinity"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def daemon(tmp_path: Path, process: subprocess.Popen[bytes]) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path / "socket")
    daemon.answers = {"status": {"pid": process.pid}, "shutdown": {"stopped": 1}}
    yield daemon
    daemon.close()


def stop(daemon: FakeDaemon) -> dict[str, object]:
    with Connection(open_stream(str(daemon.path)), str(daemon.path)) as connection:
        return stopping.stop_daemon(connection)


def test_a_daemon_that_was_told_to_stop_is_waited_for(daemon: FakeDaemon, process: subprocess.Popen[bytes]) -> None:
    def shutdown(**_: object) -> dict[str, int]:
        process.kill()
        return {"stopped": 1}

    daemon.answers["shutdown"] = shutdown
    assert stop(daemon) == {"stopped": 1}


@pytest.mark.parametrize("reaped", [True, False])
def test_a_daemon_that_has_just_ended_is_not_waited_for(
    daemon: FakeDaemon, process: subprocess.Popen[bytes], *, reaped: bool
) -> None:
    process.kill()
    if reaped:
        process.wait()
    else:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert stop(daemon) == {"stopped": 1}


def test_a_daemon_that_does_not_end_though_it_was_told_to_is_given_up(
    daemon: FakeDaemon, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    with pytest.raises(InternalError, match=rf"has not ended: it hangs; end it with `kill -9 {process.pid}`"):
        stop(daemon)
