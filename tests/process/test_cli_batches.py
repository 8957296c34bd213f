"""`runctl run` and `restart` of batches, and what goes with them, against the real daemon."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.process.conftest import BIN, DEADLINE, Machine, wait_until, without_notices

EXAMPLES = Path(__file__).parents[2] / "examples"
GRID = ("x=[1.0,2.0]", "y=[2,3]")
FLAGS = [f"x={x}, y={y}, z=a" for x in ("1.0", "2.0") for y in (2, 3)]
MIXED = "import sys\nn = 0\nprint('begun', n)\nsys.stdout.write('last')\nsys.exit(3 if n == 2 else 0)\n"
SLOW = "import time\nn = 0\nprint('begun', n)\ntime.sleep(1000)\n"


@pytest.fixture
def echo(machine: Machine) -> Machine:
    machine.start(RUND_SLOTS="4")
    shutil.copy(EXAMPLES / "echo.py", machine.project)
    return machine


def batch_of(machine: Machine) -> str:
    """The short id of the one batch."""
    (batch,) = [run for run in machine.json("list", "-n", "1000")["runs"] if run["operation"].endswith("+")]
    return str(batch["id"][:8])


def trials_of(machine: Machine, batch: str) -> list[str]:
    return [run["id"][:8] for run in machine.json("list", "--batch", batch, "-n", "1000")["runs"]]


def test_one_after_the_other_each_trial_is_told_and_its_output_comes_after_its_line(echo: Machine) -> None:
    result = subprocess.run(
        [BIN / "runctl", "run", "echo.py", *GRID, "--jobs", "1"],
        env=echo.env,
        cwd=echo.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    batch = batch_of(echo)
    trials = list(zip(trials_of(echo, batch), FLAGS, ("1.0 2", "1.0 3", "2.0 2", "2.0 3"), strict=True))
    expected = [f"Initialized trial {trial} ({flags})" for trial, flags, _ in trials]
    for trial, flags, output in trials:
        expected += [f"Running trial {trial}: echo.py ({flags})", f"{output} 'a'"]
    assert without_notices(result.stdout).splitlines() == [*expected, f"Batch {batch}: 4 completed"]
    assert result.returncode == 0


def test_with_several_at_once_lines_of_output_carry_the_trial(echo: Machine) -> None:
    result = echo.ctl("run", "echo.py", *GRID, check=True)
    trials = trials_of(echo, batch_of(echo))
    assert sorted(result.stdout.splitlines()) == sorted(
        f"[{trial}] {output} 'a'" for trial, output in zip(trials, ("1.0 2", "1.0 3", "2.0 2", "2.0 3"), strict=True)
    )
    running = [line for line in result.stderr.splitlines() if line.startswith("Running trial ")]
    assert sorted(running) == sorted(
        f"Running trial {trial}: echo.py ({flags})" for trial, flags in zip(trials, FLAGS, strict=True)
    )


def test_a_machine_with_one_slot_needs_no_prefix(machine: Machine) -> None:
    machine.start(RUND_SLOTS="1")
    shutil.copy(EXAMPLES / "echo.py", machine.project)
    assert machine.ctl("run", "echo.py", "y=[2,3]", check=True).stdout == "1.0 2 'a'\n1.0 3 'a'\n"


def test_what_a_restart_does_with_each_trial_is_told(echo: Machine) -> None:
    echo.ctl("run", "echo.py", *GRID, check=True)
    batch = batch_of(echo)
    a, b, c, d = trials_of(echo, batch)
    again = echo.ctl("restart", batch, "x=1.0", "--jobs", "1", check=True)
    assert again.stdout == "1.0 2 'a'\n1.0 3 'a'\n"
    assert again.stderr.splitlines() == [
        f"Restarting trial {a} ({FLAGS[0]})",
        f"Restarting trial {b} ({FLAGS[1]})",
        f"Setting free trial {c} ({FLAGS[2]})",
        f"Setting free trial {d} ({FLAGS[3]})",
        f"Running trial {a}: echo.py ({FLAGS[0]})",
        f"Running trial {b}: echo.py ({FLAGS[1]})",
        f"Batch {batch}: 2 completed",
    ]
    assert {run["id"][:8] for run in echo.json("list", "--orphans", "--batch", batch)["runs"]} == {c, d}
    more = echo.ctl("restart", batch, "x=[1.0,2.0]", "y=[2]", "--needed", check=True)
    assert more.stdout == ""
    assert more.stderr.splitlines() == [
        f"Skipping trial {a} because it is completed and its flags have not changed (--needed)",
        f"Skipping trial {c} because it is completed and its flags have not changed (--needed)",
        f"Taking back trial {c} ({FLAGS[2]})",
        f"Setting free trial {b} ({FLAGS[1]})",
        f"Batch {batch}: 2 completed",
    ]


def test_a_trial_that_does_not_complete_says_why_and_the_batch_fails(served: Machine) -> None:
    served.script("mixed.py", MIXED)
    result = served.ctl("run", "mixed.py", "n=[1,2,3]", "--jobs", "1", "--retries", "1")
    batch = batch_of(served)
    _, two, _ = trials_of(served, batch)
    assert result.returncode == 1
    assert result.stdout == "begun 1\nlastbegun 2\nlastbegun 3\nlastbegun 2\nlast"
    assert result.stderr.count(f"Trial {two} ended in error: exit 3\n") == 2
    assert result.stderr.endswith(f"Batch {batch}: 2 completed, 1 error\n")
    waited = served.ctl("wait", batch)
    assert (waited.returncode, waited.stderr) == (1, f"Batch {batch}: 2 completed, 1 error\n")
    again = served.ctl("restart", batch, "--needed", "--retries", "0", "--jobs", "all")
    assert again.returncode == 1
    assert again.stdout in (f"[{two}] begun 2\n[{two}] last\n", "begun 2\nlast")


def test_many_trials_of_a_kind_are_twenty_lines_and_a_count(echo: Machine) -> None:
    result = echo.ctl("run", "echo.py", "y=range[1:25]", check=True)
    told = [line for line in result.stderr.splitlines() if line.startswith("Initialized")]
    assert len(told) == 21
    assert told[20] == "Initialized 5 more trials"
    assert result.stdout.count("\n") == 25
    shown = echo.ctl("show", batch_of(echo), check=True).stdout
    assert "trials      25: 25 completed\n" in shown
    assert shown.endswith(f"  and 5 more: `runctl list --batch {batch_of(echo)}` shows them\n")


def test_trials_are_read_from_standard_input(echo: Machine) -> None:
    def run(rows: str, *args: str) -> subprocess.CompletedProcess[str]:
        (echo.folder / "rows").write_text(rows)
        with (echo.folder / "rows").open() as stdin:
            return echo.ctl("run", "echo.py", "@-", *args, stdin=stdin)

    result = run('{"y": 5}\n\n{"y": 6, "z": "1"}\n'.replace('"y": 5', '"y": 5, "z": "b"'), "x=3", "--jobs", "1")
    assert (result.returncode, result.stdout) == (0, "3.0 5 'b'\n3.0 6 '1'\n")
    bad = run('{"y": 5}\n{"y": \n')
    assert bad.returncode == 2
    assert bad.stderr.startswith("runctl: standard input, line 2: it is not JSON: ")
    assert len(echo.json("list")["runs"]) == 3


def test_trials_are_printed_and_nothing_is_made(echo: Machine) -> None:
    assert echo.ctl("run", "echo.py", *GRID, "--print-trials", check=True).stdout.splitlines() == FLAGS
    assert echo.ctl("run", "echo.py", "--print-trials", check=True).stdout == FLAGS[0] + "\n"
    would = echo.ctl("run", "echo.py", *GRID, "--dry-run", check=True)
    assert would.stderr.splitlines() == [f"Would initialize a trial ({flags})" for flags in FLAGS]
    assert echo.json("list")["runs"] == []


def test_a_staged_batch_says_how_to_start_it_and_starts(echo: Machine) -> None:
    staged = echo.ctl("run", "echo.py", *GRID, "--stage", check=True)
    batch = batch_of(echo)
    assert staged.stderr.count("Initialized trial ") == 4
    assert staged.stderr.endswith(f"Batch {batch} is staged: 4 staged; `runctl start {batch}` starts what is staged\n")
    echo.ctl("start", batch, check=True)
    echo.ctl("wait", batch, check=True)
    assert echo.json("show", batch)["run"]["counts"]["completed"] == 4
    echo.ctl("delete", batch, "--with-trials", check=True)
    assert echo.json("list")["runs"] == []


def test_show_of_a_trial_names_its_batch(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "x=[1.0,2.0]", check=True)
    batch = batch_of(echo)
    first, second = trials_of(echo, batch)
    assert f"batch       {batch}" in echo.ctl("show", first, check=True).stdout.splitlines()
    assert "batch " not in echo.ctl("show", batch, check=True).stdout
    echo.ctl("restart", batch, "x=1.0", "--needed", check=True)
    assert f"batch       none; {batch} made it" in echo.ctl("show", second, check=True).stdout.splitlines()


def test_detached_it_prints_the_id_alone(echo: Machine) -> None:
    result = echo.ctl("run", "echo.py", *GRID, "-d", check=True)
    assert result.stdout == batch_of(echo) + "\n"
    assert result.stderr == ""
    echo.ctl("wait", result.stdout.strip(), check=True)


def test_a_batch_is_hinted_at_one_job_where_a_gpu_is_seen(echo: Machine) -> None:
    env = {"CUDA_VISIBLE_DEVICES": "0"}
    assert "--jobs 1" in echo.ctl("run", "echo.py", "y=[1,2]", check=True, env=env).stderr.splitlines()[0]
    assert "--jobs" not in echo.ctl("run", "echo.py", "y=[1,3]", "--jobs", "2", check=True, env=env).stderr
    assert "--jobs" not in echo.ctl("run", "echo.py", "y=4", check=True, env=env).stderr


def test_ctrl_c_detaches_and_the_batch_goes_on(served: Machine) -> None:
    served.script("slow.py", SLOW)
    following = served.popen("run", "slow.py", "n=[1,2]", "--jobs", "1")
    assert following.stdout is not None
    assert following.stdout.readline() == "begun 1\n"
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=DEADLINE)
    assert following.returncode == 130
    batch = batch_of(served)
    assert said.splitlines()[-1] == (
        f"Detached from batch {batch}, which goes on:"
        f" `runctl wait {batch}` waits for it, `runctl list --batch {batch}` shows it"
    )
    assert served.json("show", batch)["run"]["status"] == "running"
    served.ctl("stop", batch, check=True)


def test_a_paused_batch_says_why_it_waits_and_a_stop_ends_the_following(served: Machine) -> None:
    served.script("slow.py", SLOW)
    served.ctl("pause", check=True)
    following = served.popen("run", "slow.py", "n=[1,2]")
    assert following.stderr is not None
    line = next(line for line in following.stderr if line.startswith("Pending"))
    assert re.fullmatch(r"Pending trial [0-9a-f]{8}: paused: .*\n", line)
    batch = batch_of(served)
    served.ctl("stop", batch, check=True)
    _, said = following.communicate(timeout=DEADLINE)
    assert (following.returncode, without_notices(said)) == (1, f"Batch {batch}: 2 staged\n")


def test_a_batch_alone_is_paused_and_resumed(echo: Machine) -> None:
    batch = echo.ctl("run", "echo.py", *GRID, "--stage", "-d", check=True).stdout.strip()
    echo.ctl("pause", batch, check=True)
    echo.ctl("start", batch, check=True)
    assert "paused" in echo.ctl("show", batch, check=True).stdout
    assert echo.ctl("run", "echo.py", check=True).stdout == "1.0 2 'a'\n"
    assert echo.json("show", batch)["run"]["counts"]["pending"] == 4
    echo.ctl("resume", batch, check=True)
    echo.ctl("wait", batch, check=True)


def test_trials_that_others_add_are_followed_too_and_running_ones_are_kept(machine: Machine) -> None:
    machine.start(RUND_SLOTS="2")
    machine.script(
        "until.py",
        "import os, time\nn = 0\nprint('begun', n)\nwhile n == 1 and not os.path.exists('go'):\n    time.sleep(0.01)\n"
        "print('over', n)\n",
    )
    following = machine.popen("run", "until.py", "n=[1]", "--jobs", "2")
    assert following.stdout is not None
    wait_until(lambda: machine.json("list")["runs"])
    batch = batch_of(machine)
    (one,) = trials_of(machine, batch)
    wait_until(lambda: machine.json("show", one)["run"]["status"] == "running")
    other = machine.popen("restart", batch, "n=[1,2]", "--needed")
    wait_until(lambda: machine.json("show", batch)["run"]["counts"]["completed"] == 1)
    assert machine.json("show", one)["run"]["attempts"] == 1
    (Path(machine.json("show", one)["run"]["dir"]) / "go").touch()
    two = trials_of(machine, batch)[1]
    out, _ = following.communicate(timeout=DEADLINE)
    assert following.returncode == 0
    lines = {f"[{trial}] {word} {n}" for trial, n in ((one, 1), (two, 2)) for word in ("begun", "over")}
    assert set(out.splitlines()) == lines
    out, said = other.communicate(timeout=DEADLINE)
    assert other.returncode == 0
    assert f"Keeping trial {one} (n=1) as it is: running\n" in said
    assert f"Running trial {one}" not in said
    assert out == f"[{two}] begun 2\n[{two}] over 2\n"


def test_output_is_whole_whatever_bytes_it_has(echo: Machine) -> None:
    echo.script("loud.py", "import sys\nn = 0\nsys.stdout.buffer.write(bytes(range(256)) * 5000)\n")
    result = subprocess.run(
        [BIN / "runctl", "run", "loud.py", "n=[1,2,3]", "--jobs", "1"],
        env=echo.env,
        cwd=echo.project,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, bytes(range(256)) * 15_000)


@pytest.mark.timeout(900)
def test_hundreds_of_short_trials_are_all_shown_once(echo: Machine) -> None:
    result = echo.ctl("run", "echo.py", "y=range[1:150]", check=True, timeout=400)
    ids = trials_of(echo, batch_of(echo))
    assert sorted(result.stdout.splitlines()) == sorted(f"[{each}] 1.0 {y} 'a'" for y, each in enumerate(ids, 1))
    assert result.stderr.count("Running trial ") == 150
    again = echo.ctl("restart", batch_of(echo), check=True, timeout=400)
    assert sorted(again.stdout.splitlines()) == sorted(result.stdout.splitlines())


def test_a_batch_is_followed_on_when_its_daemon_is_gone_and_another_comes(served: Machine) -> None:
    served.script(
        "slow.py",
        "import os, time\nn = 0\nprint('begun', n)\ngo = os.environ['RUND_HOME'] + '/../go'\n"
        "while not os.path.exists(go):\n    time.sleep(0.01)\n",
    )
    served.env["RUNCTL_NO_START"] = "1"  # the next daemon is this test's, however long it takes
    following = served.popen("run", "slow.py", "n=[1,2]", "--jobs", "1")
    assert following.stdout is not None
    assert following.stdout.readline() == "begun 1\n"
    served.kill()
    served.start()
    (served.folder / "go").touch()
    wrote, said = following.communicate(timeout=DEADLINE)
    assert following.returncode == 0, said
    assert "begun 2\n" in wrote


def test_logs_of_a_batch_are_those_of_its_trials(echo: Machine) -> None:
    batch = echo.ctl("run", "echo.py", "y=[1,2]", "-d", check=True).stdout.strip()
    result = echo.ctl("logs", batch)
    assert result.returncode == 2
    assert f"`runctl list --batch {batch}`" in result.stderr
    echo.ctl("wait", batch, check=True)


def test_on_a_terminal_a_live_line_stands_below_and_leaves_no_trace(echo: Machine) -> None:
    held = "import os, time\nwhile not os.path.exists(os.environ['RUND_HOME'] + '/../go'):\n    time.sleep(0.01)\n"
    echo.script("mixed.py", held + MIXED)
    columns = 30
    live_line = re.compile(rb"\r\x1b\[K[0-4]/5 done, [12] running")
    out = on_terminal(echo, columns, live_line, "run", "mixed.py", "n=[1,2,3,4,5]", "--jobs", "2")
    assert live_line.search(out)
    live = re.findall(rb"\r\x1b\[K(\d/5 done[^\r]*)", out)
    assert all(len(line.decode()) < columns for line in live)
    batch = batch_of(echo)
    assert screen(out)[-1] == f"Batch {batch}: 4 completed, 1 error"
    assert not [line for line in screen(out) if "done" in line]
    assert sum(line.startswith("[") and line.endswith("last") for line in screen(out)) == 5


def on_terminal(machine: Machine, columns: int, seen: re.Pattern[bytes], *args: str) -> bytes:
    """All that a command writes on a terminal, to its end; when it has written ``seen``, what it follows may go on."""
    terminal, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [BIN / "runctl", *args], env=machine.env, cwd=machine.project, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    written = b""
    while select.select([terminal], [], [], DEADLINE)[0]:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # EIO: the last one has closed it
            break
        written += data
        if seen.search(written):
            (machine.folder / "go").touch()
    else:
        process.kill()
    os.close(terminal)
    process.wait(DEADLINE)
    return written


def screen(written: bytes) -> list[str]:
    """The lines that stay: what is erased, and what is written over, is not among them."""
    return [line.rsplit("\x1b[K", 1)[-1].strip("\r") for line in written.decode().split("\n") if line.strip("\r")]


def test_the_python_client_makes_waits_for_and_restarts_batches(echo: Machine) -> None:
    script = """
import anyio, runctl
with runctl.connect(start=False) as rund:
    batch = rund.run("echo.py", flags={"x": [1.0, 2.0], "y": [2, 3]}, jobs=2)
    assert batch.is_batch and batch.wait(60.0)
    assert batch.counts["completed"] == 4, batch.counts
    assert [trial.flags["x"] for trial in batch.trials()] == [1.0, 1.0, 2.0, 2.0]
    assert not batch.trials()[0].is_batch and batch.trials()[0].output() == b"1.0 2 'a'\\n"
    before = [trial.id for trial in batch.trials()]
    batch.restart(needed=True, flags={"y": [2, 3, 4]}, jobs="all").wait()
    after = [trial.id for trial in batch.trials()]
    assert [after[n] for n in (0, 1, 3, 4)] == before
    assert len(rund.runs(batch=batch.id, limit=3)) == 3
    few = rund.run("echo.py", flags={"y": [1, 2, 3, 4]}, max_trials=2)
    few.wait()
    assert few.counts["completed"] == 2
    rows = rund.run("echo.py", rows=[{"y": 7}, {"y": 8}])
    rows.wait()
    assert [trial.flags["y"] for trial in rows.trials()] == [7, 8]
    rows.delete(with_trials=True)

async def main():
    async with runctl.connect_async(start=False) as rund:
        batch = await rund.run("echo.py", flags={"y": [1, 2]})
        assert batch.is_batch and await batch.wait()
        await batch.restart(needed=True, flags={"y": [1, 2, 3]})
        assert await batch.wait()
        assert [trial.flags["y"] for trial in await batch.trials()] == [1, 2, 3]
        await rund.pause(batch)
        await rund.resume(batch)

anyio.run(main)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], env=echo.env, cwd=echo.project, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
