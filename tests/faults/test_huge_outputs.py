"""Huge, endless and binary outputs: the disk they use is bounded, their tail is kept, and `runctl logs` copes.

``RUND_FULL=1`` writes 3 GiB beside the ordinary 64 MiB, with the limit that rund has by itself.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from rund.executor.facts import read_facts
from tests.faults.full_form import FULL
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until

MIB = 2**20
SIZES = [pytest.param(64 * MIB, 2 * MIB, id="64 MiB"), *([pytest.param(3072 * MIB, None, id="3 GiB")] if FULL else [])]

# The n-th block of 1 MiB is n, 4 bytes wide, again and again: any four aligned bytes tell where they stood.
WRITER = """
import os
size = 1
def put(data):
    left = memoryview(data)
    while left:
        left = left[os.write(1, left):]
for number in range(size):
    put((number | 0x80000000).to_bytes(4, "big") * (2**20 // 4))
open("written", "w").close()
while not os.path.exists("go"):
    import time; time.sleep(0.02)
put(b"\\0the end\\xff")
"""


def written(blocks: int) -> bytes:
    """The last 16 blocks of what the script writes."""
    return b"".join((number | 0x80000000).to_bytes(4, "big") * (MIB // 4) for number in range(blocks - 16, blocks))


def output_file(machine: Machine, run: str, attempt: int = 1) -> Path:
    return machine.home / "attempts" / run[:2] / f"{run}-{attempt}" / "output"


def disk_use(path: Path) -> int:
    return path.stat().st_blocks * 512


def logs(machine: Machine, *args: str) -> tuple[bytes, str, int]:
    done = subprocess.run(
        [BIN / "runctl", "logs", *args], env=machine.env, capture_output=True, timeout=10 * DEADLINE, check=False
    )
    return done.stdout, done.stderr.decode(), done.returncode


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("size", "limit"), SIZES)
def test_the_disk_used_is_bounded_and_the_tail_is_kept_while_it_runs_and_after(
    machine: Machine, size: int, limit: int | None
) -> None:
    machine.start(**({} if limit is None else {"RUND_OUTPUT_LIMIT": f"{limit // MIB}M"}))
    limit = limit or 1024 * MIB
    machine.script("writer.py", WRITER)
    run = machine.json("run", "-d", "writer.py", f"size={size // MIB}")["run"]
    wait_until(Path(run["dir"], "written").exists, 10 * DEADLINE)
    path = output_file(machine, run["id"])
    wait_until(lambda: disk_use(path) <= limit)  # it does not grow now, so that nothing more is to be dropped
    assert path.stat().st_size == size

    said, told, status = logs(machine, run["id"])
    assert status == 0
    assert limit // 2 <= len(said) <= limit, "a quarter is dropped at once"
    assert written(size // MIB).endswith(said[-16 * MIB :])
    assert re.search(r"[\d.]+ [MG]B of the output of \w{8} are not kept \(setting output_limit\)", told)

    Path(run["dir"], "go").touch()
    machine.ctl("wait", run["id"], check=True)
    again, _, _ = logs(machine, run["id"])
    assert again.endswith(said[-MIB:] + b"\0the end\xff")
    assert disk_use(path) <= limit + MIB
    assert logs(machine, run["id"], "-n", "1")[0].endswith(b"\0the end\xff"), "no line ends in it: all that is kept"


@pytest.mark.timeout(600)
def test_following_goes_on_across_what_is_dropped(machine: Machine) -> None:
    machine.start(RUND_OUTPUT_LIMIT="1M")
    # 40 MiB in lines; each is told from the one before by its number.
    machine.script(
        "lines.py",
        "import os, sys, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n"
        "for number in range(40960):\n    print(f'{number:07d}' + 'x' * 1016)\nsys.exit(7)\n",
    )
    run = machine.json("run", "-d", "lines.py")["run"]
    with machine.popen("logs", "-f", run["id"]) as following:
        wait_until(lambda: Path(run["dir"]).exists())
        Path(run["dir"], "go").touch()
        said, told = following.communicate(timeout=10 * DEADLINE)
    assert following.returncode == 7
    numbers = [int(number) for number in re.findall(r"(\d{7})x{1016}\n", said)]
    assert numbers == sorted(set(numbers)), "in order, each once"
    assert numbers[-1] == 40959
    dropped = [
        float(size) * {"KB": 1e3, "MB": 1e6}[unit] for size, unit in re.findall(r"([\d.]+) ([KM]B) of the", told)
    ]
    # Sizes in the messages are rounded.
    assert abs(len(said.encode()) + sum(dropped) - 40960 * 1024) <= 0.06e6 * len(dropped)


def test_what_lost_its_shim_is_bounded_by_the_daemon(machine: Machine) -> None:
    machine.start(RUND_OUTPUT_LIMIT="1M")
    machine.script(
        "endless.py",
        "import os, time\nopen('up', 'w').close()\n"
        # No faster than the disk holds while the daemon has no time.
        "while not os.path.exists('stop'):\n    time.sleep(0.002)\n"
        "    if os.path.exists('go'):\n        print('x' * 100_000)\n",
    )
    run = machine.json("run", "-d", "endless.py")["run"]
    wait_until(Path(run["dir"], "up").exists)
    path = output_file(machine, run["id"])
    started = read_facts(path.parent).started
    assert started is not None
    os.kill(started.shim_pid, signal.SIGKILL)
    Path(run["dir"], "go").touch()
    wait_until(lambda: path.stat().st_size > 16 * MIB)
    Path(run["dir"], "stop").touch()
    machine.ctl("wait", run["id"])
    assert disk_use(path) <= 2 * MIB
    assert machine.json("show", run["id"])["run"]["reason"] == "lost: its supervisor was killed"


def test_a_terminal_is_not_disturbed_by_binary_output_and_a_pipe_gets_every_byte(served: Machine) -> None:
    data = bytes(range(256)) + b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\n"
    served.script("binary.py", f"import os\nos.write(1, {data!r})\n")
    run = served.json("run", "-d", "binary.py")["run"]
    served.ctl("wait", run["id"], check=True)
    assert logs(served, run["id"])[0] == data
    seen = on_a_terminal(served, "logs", run["id"])
    assert "^[]0;owned^G^[[2J\x1b[31mred\x1b[0m" in seen
    assert re.findall(r"[^\n\t\r\b\x20-\x7e]", re.sub(r"\x1b\[[0-9;:]*m", "", seen)) == []
    batch = served.json("run", "-d", "binary.py", "x=[1,2]", "--force-flags")["run"]
    served.ctl("wait", batch["id"], check=True)
    seen = on_a_terminal(served, "restart", batch["id"])
    assert "^[]0;owned^G" in seen
    assert "\x1b]0" not in seen


def on_a_terminal(machine: Machine, *args: str) -> str:
    """What a command writes to the terminal that its standard output is."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # EIO: nobody has the other end any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        env = machine.env | {"TERM": "xterm"}
        subprocess.run(
            [BIN / "runctl", *args],
            env=env,
            cwd=machine.project,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            check=False,
        )
    finally:
        os.close(theirs)
        reader.join(DEADLINE)
        os.close(ours)
    return b"".join(parts).decode()


@pytest.mark.parametrize("what", ["gone", "link", "fifo", "folder"])
def test_an_output_that_is_no_file_any_more_is_told_and_nothing_hangs(served: Machine, what: str) -> None:
    served.script("swap.py", "import os\nprint('loss: 1.5')\n")
    run = served.json("run", "-d", "swap.py")["run"]
    served.ctl("wait", run["id"], check=True)
    path = output_file(served, run["id"])
    path.unlink()
    if what == "link":
        path.symlink_to("/etc/hostname")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    words = {"gone": "is gone: its file was removed", "link": "cannot be read: a symbolic link stands there"}
    for command in (["logs", run["id"]], ["logs", run["id"], "--json"], ["logs", run["id"], "-n", "3"]):
        done = served.ctl(*command)
        assert (done.returncode, done.stdout) == (4, "")
        assert (
            f"the output of attempt 1 of run {run['id'][:8]} {words.get(what, 'cannot be read: it is not a')}"
            in done.stderr
        )
    followed = served.ctl("logs", "-f", run["id"])
    assert followed.returncode == 0, "that of the run itself"
    assert "the output of attempt 1" in followed.stderr
    assert served.ctl("show", run["id"]).returncode == 0


@pytest.mark.parametrize("what", ["mkfifo", "symlink"])
def test_a_trial_that_swaps_its_output_while_it_runs_hinders_nobody(served: Machine, what: str) -> None:
    make = {"mkfifo": "os.mkfifo(path)", "symlink": "os.symlink('/dev/zero', path)"}[what]
    served.script(
        "swap.py",
        "import os\nhome, run = os.environ['RUND_HOME'], os.environ['RUND_RUN_ID']\n"
        f"path = f'{{home}}/attempts/{{run[:2]}}/{{run}}-1/output'\nos.unlink(path)\n{make}\n",
    )
    run = served.json("run", "-d", "swap.py")["run"]
    served.ctl("wait", run["id"], check=True)
    assert served.json("show", run["id"])["run"]["status"] == "completed"
    assert served.ctl("run", "-d", "swap.py").returncode == 0, "it goes on"
    served.ctl("wait", "@1", check=True)
