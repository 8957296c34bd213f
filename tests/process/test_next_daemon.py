"""The daemon is killed, stopped or hangs under real clients: who waits or follows goes on, and nobody waits for ever."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import anyio
import pytest
import runctl
from runctl.client import Client

from tests.process.conftest import DEADLINE, Machine, wait_until

GATED = (
    "import os, time\nx = 1\nprint('begun', flush=True)\n"
    "while not os.path.exists('go'):\n    time.sleep(0.01)\nprint('done')\n"
)


def begun(machine: Machine) -> Path:
    """The folder of the run that waits for its gate, as soon as it has begun."""
    wait_until(lambda: any(run["status"] == "running" for run in machine.json("list")["runs"]))
    (run,) = machine.json("list")["runs"]
    wait_until(lambda: machine.ctl("logs", run["id"]).stdout == "begun\n")
    return Path(run["dir"])


def finish(client: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = client.communicate(timeout=DEADLINE)
    assert client.returncode == 0, err
    assert "Traceback" not in err
    return out, err


def test_following_and_waiting_go_on_with_the_daemon_that_they_start(machine: Machine) -> None:
    machine.start()
    machine.script("gated.py", GATED)
    following = machine.popen("run", "gated.py")
    folder = begun(machine)
    waiting = machine.popen("wait", "@1")
    machine.kill()
    (folder / "go").touch()
    out, _ = finish(following)
    assert out == "begun\ndone\n", "each byte once, also across daemons"
    finish(waiting)
    assert machine.json("status")["pid"] != machine.daemons[-1].pid


def test_following_a_batch_goes_on_with_the_next_daemon(machine: Machine) -> None:
    machine.env["RUNCTL_NO_START"] = "1"  # the next daemon is this test's, however long it takes
    machine.start(RUND_SLOTS="1")
    machine.script("gated.py", GATED)
    following = machine.popen("run", "gated.py", "x=[1,2,3]")
    begun_trial(machine)
    machine.kill()
    machine.start(RUND_SLOTS="1")
    for _ in range(3):
        run = begun_trial(machine)
        (Path(run["dir"]) / "go").touch()
        wait_until(lambda run=run: machine.json("show", run["id"])["run"]["status"] == "completed")
    out, _ = finish(following)
    assert out.count("done") == 3


def begun_trial(machine: Machine) -> dict[str, str]:
    """The trial that runs, as soon as it has begun: there is its folder."""
    found: list[dict[str, str]] = []

    def one_runs() -> bool:
        runs = machine.json("list", "--status", "running")["runs"]
        found[:] = [run for run in runs if "counts" not in run]
        return len(found) == 1 and machine.ctl("logs", found[0]["id"]).stdout == "begun\n"

    wait_until(one_runs)
    return found[0]


def test_a_stopped_daemon_is_not_brought_back_by_who_follows(machine: Machine) -> None:
    machine.start()
    machine.script("gated.py", GATED)
    following = machine.popen("run", "gated.py")
    folder = begun(machine)
    machine.ctl("daemon", "stop", check=True)
    _, err = following.communicate(timeout=DEADLINE)
    assert following.returncode == 3
    assert "goes on" in err
    assert machine.ctl("status", "--no-start").returncode == 3
    (folder / "go").touch()
    machine.start()
    machine.ctl("wait", "@1", check=True)


def test_the_python_clients_outlive_the_daemon(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start()
    path = machine.script("gated.py", GATED)
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)

    async def ask() -> None:
        async with runctl.connect_async() as rund:
            run = await rund.run(path, env=machine.env)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rund.wait, run)
                await anyio.to_thread.run_sync(begun, machine)
                machine.kill()
                (Path(run.attrs["dir"]) / "go").touch()
            await run.refresh()
            assert run.status == "completed"
            await run.set_label("afterwards")

    anyio.run(ask)
    with Client(machine.env, start=True) as client:
        run = client.get("@1")
        assert run.attrs["label"] == "afterwards"
        client.call("shutdown")
    wait_until(lambda: not machine.processes())


def test_a_daemon_that_hangs_is_told_in_one_line_and_waited_for(served: Machine) -> None:
    served.daemons[-1].send_signal(signal.SIGSTOP)
    try:
        client = served.popen("status")
        assert client.stderr is not None
        line = client.stderr.readline()
    finally:
        served.daemons[-1].send_signal(signal.SIGCONT)
    assert line == f"The daemon at {served.socket} does not answer; waiting for it\n"
    _, rest = finish(client)
    assert rest == ""
