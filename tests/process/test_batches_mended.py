"""What went wrong with batches once, and does not any more."""

from __future__ import annotations

import json
from pathlib import Path

from tests.process.conftest import Machine, wait_until


def reply(machine: Machine, *args: str) -> dict:
    return json.loads(machine.ctl(*args, "--json", check=True).stdout)


def test_needed_runs_a_batch_of_this_project_and_not_another_of_the_same_name(served: Machine) -> None:
    (served.project / "rund.toml").touch()
    served.script("t.py", "x = 1\nprint('one', x)\n")
    first = reply(served, "run", "-d", "t.py", "x=[1,2]")["run"]["id"]
    served.ctl("wait", first, check=True)
    other = served.folder / "other"
    other.mkdir()
    (other / "rund.toml").touch()
    (other / "t.py").write_text("x = 1\nprint('two', x)\n")
    again = served.ctl("run", "t.py", "x=[1,2]", "--needed", check=True, cwd=other)
    assert sorted(line.split("] ")[-1] for line in again.stdout.splitlines()) == ["two 1", "two 2"]
    skipped = reply(served, "run", "t.py", "x=[1,2]", "--needed")
    assert (skipped["run"]["id"], len(skipped["plan"]["skipped"])) == (first, 2)


def test_a_file_with_forced_flags_is_restarted_without_forcing_them_again(served: Machine) -> None:
    served.script("t.py", "x = 1\nprint(x)\n")
    served.script("rows.json", '[{"x": 1, "w": 2}]')
    batch = reply(served, "run", "-d", "t.py", "@rows.json", "--force-flags")["run"]["id"]
    served.ctl("wait", batch, check=True)
    served.ctl("restart", batch, check=True)


def test_a_retry_does_not_empty_the_directory_again_and_a_kept_clean_is_kept(served: Machine) -> None:
    served.script(
        "t.py",
        "import os, sys\nx = 1\nn = len(os.listdir())\nopen(f'f{n}', 'w').close()\nprint(n)\nsys.exit(1 if n < 2 else 0)\n",
    )
    batch = reply(served, "run", "-d", "t.py", "x=[1]", "--retries", "5")["run"]["id"]
    assert served.ctl("wait", batch).returncode == 0
    (trial,) = served.json("list", "--batch", batch)["runs"]
    assert sorted(path.name for path in Path(trial["dir"]).iterdir()) == ["f0", "f1", "f2"]
    served.ctl("pause", check=True)
    served.ctl("restart", "-d", batch, "--clean", check=True)
    served.ctl("restart", "-d", batch, "--needed", check=True)
    served.ctl("resume", check=True)
    assert served.ctl("wait", batch).returncode == 0
    assert served.ctl("logs", trial["id"], "--attempt", "4").stdout == "0\n"
    assert sorted(path.name for path in Path(trial["dir"]).iterdir()) == ["f0", "f1", "f2"]


def test_a_batch_that_was_stopped_starts_nothing_again_by_itself(machine: Machine) -> None:
    machine.start(RUND_SLOTS="2")
    machine.script(
        "t.py",
        "import signal, sys\nx = 1\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint('up')\nsignal.pause()\n",
    )
    batch = reply(machine, "run", "-d", "t.py", "x=[1,2]", "--retries", "3")["run"]["id"]
    trials = [run["id"] for run in machine.json("list", "--batch", batch)["runs"]]
    for trial in trials:
        wait_until(lambda trial=trial: machine.ctl("logs", trial).stdout == "up\n")
    machine.ctl("stop", batch, check=True)
    runs = machine.json("list", "--batch", batch)["runs"]
    assert [(run["status"], run["attempts"]) for run in runs] == [("terminated", 1)] * 2
    assert machine.json("show", batch)["run"]["status"] == "terminated"


def test_a_long_function_is_shown_as_it_was_given(served: Machine) -> None:
    served.script("t.py", "x = 1.0\nprint(x)\n")
    made = reply(served, "run", "-d", "--stage", "t.py", "x=range[1:100000]", "--max-trials", "2")
    assert made["run"]["flags"] == {"x": "range[1:100000]"}
    assert (made["run"]["status"], made["run"]["stopped"], made["run"]["started"]) == ("staged", None, None)
    assert len(served.ctl("list", check=True).stdout) < 2000


def test_a_function_is_shown_so_that_it_reads_back_and_not_as_a_string(served: Machine) -> None:
    served.script("t.py", "x = 1.0\nprint(x)\n")
    batch = reply(served, "run", "-d", "--stage", "t.py", "x=[0.1:0.9]", "--max-trials", "1")["run"]["id"]
    assert "x=[0.1:0.9]" in served.ctl("show", batch, check=True).stdout
    assert "x=[0.1:0.9]" in served.ctl("list", check=True).stdout
