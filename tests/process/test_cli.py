"""`runctl` and the Python client against the real daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.process.conftest import BIN, DEADLINE, Machine, wait_until, without_notices

SLOW = "import time\nseconds = 1000.0\nprint('begun')\ntime.sleep(seconds)\nprint('over')\n"


def test_a_client_starts_a_daemon_while_the_last_one_is_ending(served: Machine) -> None:
    served.daemons[-1].send_signal(signal.SIGTERM)
    assert served.ctl("list").returncode == 0
    served.daemons[-1].wait()


def test_a_stopped_daemon_is_gone_when_the_command_returns(served: Machine) -> None:
    served.ctl("daemon", "stop", check=True)
    assert served.daemons[-1].poll() is not None
    assert served.ctl("daemon", "status").returncode == 3
    assert "No daemon runs." in served.ctl("daemon", "stop", check=True).stderr
    assert "pid" in served.ctl("daemon", "start", check=True).stderr


def test_ctrl_c_detaches_and_the_run_can_be_followed_again(served: Machine) -> None:
    served.script("slow.py", SLOW)
    following = served.popen("run", "slow.py")
    assert following.stdout is not None
    assert following.stdout.readline() == "begun\n"
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=DEADLINE)
    assert following.returncode == 130
    (run,) = served.json("list")["runs"]
    assert run["status"] == "running"
    assert f"`runctl logs -f {run['id'][:8]}`" in said
    again = served.popen("logs", "-f", run["id"][:8])
    assert again.stdout is not None
    assert again.stdout.readline() == "begun\n"
    served.ctl("stop", "@1", check=True)
    _, said = again.communicate(timeout=DEADLINE)
    assert again.returncode == 128 + signal.SIGTERM
    assert without_notices(said) == f"Run {run['id'][:8]} was terminated: stopped\n"


@pytest.mark.parametrize("size", [1, 100_000])
def test_all_output_of_a_run_however_short_is_shown_byte_for_byte(served: Machine, size: int) -> None:
    served.script("loud.py", f"import sys\nsys.stdout.buffer.write(bytes(range(256)) * {size})\n")
    result = subprocess.run(
        [BIN / "runctl", "run", "loud.py"], env=served.env, cwd=served.project, capture_output=True, check=False
    )
    assert result.returncode == 0
    assert result.stdout == bytes(range(256)) * size


def test_following_goes_on_across_a_restart_by_another(machine: Machine) -> None:
    machine.start(RUND_GRACE="100")
    machine.script(
        "stubborn.py",
        "import os, signal, time\nlast = False\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('begun')\n"
        "while not last and not os.path.exists(os.environ['RUND_HOME'] + '/../die'):\n    time.sleep(0.01)\n"
        "if not last:\n    os._exit(7)\nprint('over')\n",
    )
    following = machine.popen("run", "stubborn.py")
    assert following.stdout is not None
    assert following.stdout.readline() == "begun\n"
    machine.ctl("stop", "@1", "--no-wait", check=True)
    machine.ctl("restart", "@1", "last=true", "-d", check=True)
    (machine.folder / "die").touch()
    out, said = following.communicate(timeout=DEADLINE)
    assert (following.returncode, out) == (0, "begun\nover\n")
    assert said.count("Running ") == 2


def test_a_run_that_waits_says_so_and_one_withdrawn_is_no_success(machine: Machine) -> None:
    machine.start(RUND_SLOTS="1")
    machine.script("slow.py", SLOW)
    machine.ctl("run", "-d", "slow.py", check=True)
    waiting = machine.popen("run", "slow.py", "seconds=1.0")
    assert waiting.stderr is not None
    line = next(line for line in waiting.stderr if without_notices(line))
    assert line.startswith("Pending ")
    pending = machine.json("show", line.split()[1].rstrip(":"))["run"]
    machine.ctl("stop", pending["id"], check=True)
    _, said = waiting.communicate(timeout=DEADLINE)
    assert waiting.returncode == 1
    assert without_notices(said) == f"Run {pending['id'][:8]} was withdrawn before it started: stopped\n"


def test_a_runctl_of_an_environment_that_is_not_activated_runs_its_python(served: Machine) -> None:
    served.script("which.py", "import sys\nprint(sys.prefix)\n")
    result = served.ctl("run", "which.py", check=True, env={"PATH": "/usr/bin:/bin"})
    assert Path(result.stdout.strip()) == BIN.parent


def test_a_purge_asks_on_a_terminal(served: Machine) -> None:
    served.script("quick.py", "print(1)\n")
    served.ctl("run", "quick.py", check=True)
    served.ctl("delete", "@1", check=True)
    for answer, status, left in ((b"n\n", 1, 1), (b"y\n", 0, 0)):
        terminal, slave = os.openpty()
        os.write(terminal, answer)
        result = served.ctl("purge", stdin=slave)
        os.close(slave)
        os.close(terminal)
        assert "the one run in the trash" in result.stderr
        assert (result.returncode, served.json("list", "--trash")["total"]) == (status, left)


def test_the_python_client_runs_this_interpreter(served: Machine) -> None:
    served.script("which.py", "import sys\nx = 1.5\nprint(sys.prefix, x)\n")
    script = """
import runctl
with runctl.connect(start=False) as rund:
    run = rund.run("which.py", flags={"x": 2.5}, label="from python")
    assert run.wait(60.0), run
    print(run.output().decode(), end="")
    assert [found.id for found in rund.runs(label="from python")] == [run.id]
    run.restart(flags={"x": 3.5})
    run.wait()
    print(run.output().decode(), end="")
    try:
        rund.run("which.py", flags={"y": 1})
    except runctl.InvalidError as error:
        print(error.code)
"""
    env = served.env | {"PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=served.project, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{BIN.parent} 2.5\n{BIN.parent} 3.5\ninvalid\n"


def test_the_async_client_follows_many_runs_at_once(served: Machine) -> None:
    served.script("count.py", "n = 0\nprint(n)\n")
    script = """
import anyio, runctl
async def main():
    results = {}
    async with runctl.connect_async(start=False) as rund:
        async def one(number):
            run = await rund.run("count.py", flags={"n": number})
            assert await run.wait()
            results[number] = await run.output()
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(one, number)
    assert results == {number: b"%d\\n" % number for number in range(6)}, results
anyio.run(main)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], env=served.env, cwd=served.project, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_client_survives_a_reader_that_goes_and_the_run_goes_on(served: Machine) -> None:
    served.script("loud.py", "import time\nfor _ in range(100):\n    print('x' * 70000, flush=True)\ntime.sleep(0.2)\n")
    following = served.popen("run", "loud.py")
    assert following.stdout is not None
    assert following.stderr is not None
    following.stdout.close()
    assert following.wait(DEADLINE) == 141
    assert following.stderr.read().startswith("Running ")
    following.stderr.close()
    wait_until(lambda: served.json("list")["runs"][0]["status"] == "completed")


def test_two_followers_see_the_same(served: Machine) -> None:
    served.script("slow.py", "import time\nfor n in range(5):\n    print(n)\n    time.sleep(0.05)\n")
    name = served.ctl("run", "-d", "slow.py", check=True).stdout.strip()
    outputs: list[str] = []
    threads = [threading.Thread(target=lambda: outputs.append(served.ctl("logs", "-f", name).stdout)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert outputs == ["0\n1\n2\n3\n4\n"] * 2
