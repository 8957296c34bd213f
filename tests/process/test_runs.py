"""Single runs, end to end, as their users see them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.process.conftest import Machine, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def echo(served: Machine) -> Machine:
    shutil.copy(EXAMPLES / "echo.py", served.project)
    return served


def test_a_script_runs_with_its_own_defaults_and_with_flags_in_their_place(echo: Machine) -> None:
    assert echo.ctl("run", "echo.py", check=True).stdout == "1.0 2 'a'\n"
    assert echo.ctl("run", "echo.py", "y=3", "z=b", check=True).stdout == "1.0 3 'b'\n"
    assert echo.ctl("run", "echo.py", "x=3", "y=5", check=True).stdout == "3.0 5 'a'\n"


def test_a_restart_keeps_the_id_and_remembers_the_flags(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "y=3", "z=b", check=True)
    (run,) = echo.json("list")["runs"]
    short = run["id"][:8]
    assert echo.ctl("restart", short, "y=4", check=True).stdout == "1.0 4 'b'\n"
    assert echo.ctl("restart", short, check=True).stdout == "1.0 4 'b'\n"
    skipped = echo.ctl("restart", short, "--needed", check=True)
    assert skipped.stdout == ""
    assert f"Skipping {short} because it is completed and its flags have not changed (--needed)" in skipped.stderr
    assert echo.ctl("restart", short, "--needed", "y=5", check=True).stdout == "1.0 5 'b'\n"
    (again,) = echo.json("list")["runs"]
    assert (again["id"], again["attempts"], again["flags"]) == (run["id"], 4, {"x": 1.0, "y": 5, "z": "b"})
    shown = echo.json("show", short)
    assert [attempt["flags"]["y"] for attempt in shown["attempts"]] == [3, 4, 4, 5]
    for number, line in ((1, "1.0 3 'b'\n"), (2, "1.0 4 'b'\n"), (4, "1.0 5 'b'\n")):
        assert echo.ctl("logs", short, "--attempt", str(number), check=True).stdout == line


def test_a_default_is_given_back_by_its_name_alone(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "y=3", check=True)
    assert echo.ctl("restart", "@1", "y=", check=True).stdout == "1.0 2 'a'\n"


def test_what_is_completed_is_not_run_again_if_only_what_is_needed_is_asked_for(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "y=3", check=True)
    again = echo.ctl("run", "echo.py", "y=3", "--needed", check=True)
    assert again.stdout == ""
    assert "Skipping" in again.stderr
    assert echo.ctl("run", "echo.py", "y=3.0", "--needed", check=True).stdout == "1.0 3.0 'a'\n"
    echo.script("echo.py", "x = 1.0\ny = 2\nz = 'a'\nprint('new', x, y, z)\n")
    assert echo.ctl("run", "echo.py", "y=3", "--needed", check=True).stdout == "new 1.0 3 a\n"


def test_a_run_that_is_not_run_again_takes_the_label_and_tags_all_the_same(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "y=3", "--label", "old", "--tag", "a", check=True)
    again = ("run", "echo.py", "y=3", "--needed")
    echo.ctl(*again, "--label", "other", "--dry-run", check=True)
    echo.ctl(*again, check=True)
    assert echo.json("list")["runs"][0]["label"] == "old"
    assert echo.json(*again, "--label", "new", "--tag", "b")["run"]["label"] == "new"
    (run,) = echo.json("list")["runs"]
    assert (run["label"], run["tags"], run["attempts"]) == ("new", ["a", "b"], 1)


def test_a_stop_of_what_has_ended_says_that_nothing_was_stopped(echo: Machine) -> None:
    batch = echo.json("run", "echo.py", "x=[1,2]", "-d")["run"]["id"]
    echo.ctl("wait", batch, check=True)
    staged = echo.json("run", "echo.py", "--stage", "-d")["run"]["id"]
    answer = echo.ctl("stop", batch, staged, check=True)
    assert answer.stderr.splitlines()[-2:] == [
        f"Nothing of {batch[:8]} runs or waits: it is completed",
        f"Nothing of {staged[:8]} runs or waits: it is staged",
    ]
    assert echo.json("stop", batch)["stopped"] == []


def test_a_restart_uses_the_source_it_had_until_it_is_updated(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "y=3", check=True)
    echo.script("echo.py", "x = 5.0\ny = 2\nw = True\nprint(x, y, w)\n")
    assert echo.ctl("restart", "@1", check=True).stdout == "1.0 3 'a'\n"
    assert echo.ctl("restart", "@1", "--update-source", check=True).stdout == "5.0 3 True\n"
    assert echo.json("list")["runs"][0]["flags"] == {"x": 5.0, "y": 3, "w": True}
    skipped = echo.ctl("restart", "@1", "--update-source", "--needed", check=True)
    assert "Skipping" in skipped.stderr


def test_output_is_in_the_order_written_and_can_be_read_while_it_runs(served: Machine) -> None:
    served.script(
        "order.py",
        "import os, sys, time\nprint(1)\nprint(2, file=sys.stderr)\nos.system('echo 3')\n"
        "while not os.path.exists('go'):\n    time.sleep(0.01)\nprint(4)\n",
    )
    run = served.json("run", "-d", "order.py")["run"]
    wait_until(lambda: served.ctl("logs", run["id"]).stdout == "1\n2\n3\n")
    assert served.json("list")["runs"][0]["status"] == "running"
    (Path(run["dir"]) / "go").touch()
    served.ctl("wait", run["id"], check=True)
    assert served.ctl("logs", run["id"]).stdout == "1\n2\n3\n4\n"


def test_a_run_that_ignores_sigterm_is_ended_with_all_it_started(served: Machine) -> None:
    served.script(
        "stubborn.sh",
        "#!/bin/sh\ntrap '' TERM\n(trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > deep; while :; do sleep 1; done') &\n"
        "while :; do sleep 1; done\n",
    ).chmod(0o755)
    run = served.json("run", "-d", "./stubborn.sh")["run"]
    deep = Path(run["dir"]) / "deep"
    wait_until(lambda: deep.exists() and deep.read_text().strip())
    pid = int(deep.read_text())
    served.ctl("stop", run["id"], check=True)  # neither would end by itself
    ended = served.json("list")["runs"][0]
    assert (ended["status"], ended["reason"]) == ("terminated", "stopped")
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_that_saves_and_exits_0_when_stopped_is_terminated_and_needed_again(served: Machine) -> None:
    served.script(
        "saver.py",
        "import signal, sys, pathlib\nn = 1\n"
        "def save(*_):\n    print('saved')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "if pathlib.Path('resume').exists():\n    print('resumed')\n    sys.exit(0)\n"
        "pathlib.Path('resume').touch()\nprint('ready')\nsignal.pause()\n",
    )
    run = served.json("run", "-d", "saver.py")["run"]
    wait_until(lambda: served.ctl("logs", run["id"]).stdout == "ready\n")
    served.ctl("stop", run["id"], check=True)
    ended = served.json("list")["runs"][0]
    assert (ended["status"], ended["exit_status"], ended["reason"]) == ("terminated", 0, "stopped")
    assert served.ctl("restart", run["id"], "--needed", check=True).stdout == "resumed\n"
    assert served.json("list")["runs"][0]["status"] == "completed"


def test_a_restart_withdrawn_while_it_waits_is_undone_whole(echo: Machine) -> None:
    echo.ctl("run", "echo.py", "x=1", check=True)
    before = echo.json("show", "@1")
    echo.ctl("pause", check=True)
    run_id = before["run"]["id"]
    echo.ctl("restart", "-d", run_id, "x=5", check=True)
    waiting = echo.json("show", run_id)
    assert (waiting["run"]["status"], waiting["run"]["flags"]["x"]) == ("pending", 5.0)
    assert "paused" in waiting["waits_for"]
    echo.ctl("stop", run_id, check=True)
    assert echo.json("show", run_id) == before
    echo.ctl("resume", check=True)


def test_a_run_withdrawn_before_its_first_attempt_is_staged(echo: Machine) -> None:
    echo.ctl("pause", check=True)
    run = echo.json("run", "-d", "echo.py")["run"]
    echo.ctl("stop", run["id"], check=True)
    (staged,) = echo.json("list")["runs"]
    assert (staged["status"], staged["reason"], staged["attempts"]) == ("staged", "stopped", 0)
    echo.ctl("resume", check=True)
    echo.ctl("start", run["id"], check=True)
    echo.ctl("wait", run["id"], check=True)
    assert echo.json("list")["runs"][0]["status"] == "completed"


def test_a_missing_file_of_the_project_gets_a_hint_and_is_found_as_input(served: Machine) -> None:
    served.script("train.py", "print(open('data/train.csv').read())\n")
    served.script("data/train.csv", "1,2,3")
    missing = served.ctl("run", "train.py")
    assert missing.returncode == 1
    assert "data/train.csv" in missing.stderr
    assert "--input data" in missing.stderr
    assert served.ctl("run", "train.py", "--input", "data", check=True).stdout == "1,2,3\n"


def test_a_run_knows_where_it_is(served: Machine) -> None:
    served.script(
        "where.py",
        "import os, sys\nx = 1.5\n"
        "for n in ('RUND_RUN_ID', 'RUND_RUN_DIR', 'RUND_PROJECT_DIR', 'RUND_SOCKET', 'RUND_RANDOM_SEED', 'FLAG_X'):\n"
        "    print(os.environ[n])\nprint(os.getcwd())\nprint(repr(sys.stdin.read()))\n",
    )
    lines = served.ctl("run", "where.py", "--random-seed", "42", check=True).stdout.splitlines()
    run = served.json("list")["runs"][0]
    assert lines == [run["id"], run["dir"], str(served.project), str(served.socket), "42", "1.5", run["dir"], "''"]


def test_the_directory_stays_and_is_emptied_when_asked(served: Machine) -> None:
    served.script("keep.py", "import os\nprint(sorted(os.listdir()))\nopen('checkpoint', 'w').close()\n")
    assert served.ctl("run", "keep.py", check=True).stdout == "[]\n"
    assert served.ctl("restart", "@1", check=True).stdout == "['checkpoint']\n"
    assert served.ctl("restart", "@1", "--clean", check=True).stdout == "[]\n"
    wait_until(lambda: not list((served.home / "removed").iterdir()))
    assert served.ctl("restart", "@1", check=True).stdout == "['checkpoint']\n"


def test_slots_and_priorities_order_the_queue(machine: Machine) -> None:
    machine.start(RUND_SLOTS="2")
    machine.script("mark.py", "import os, time\nn = 0\nopen('../../../order', 'a').write(f'{n}\\n')\n")
    order = machine.home / "order"
    machine.ctl("pause", check=True)
    for number, options in ((1, ["--slots", "2"]), (2, []), (3, ["--priority", "1"]), (4, [])):
        machine.ctl(
            "run", "-d", "mark.py", f"n={number}", "--slots", "2", *options[:0], *(options if number == 3 else [])
        )
    machine.ctl("resume", check=True)
    wait_until(lambda: all(run["status"] == "completed" for run in machine.json("list")["runs"]))
    assert order.read_text().split() == ["3", "1", "2", "4"]
    refused = machine.ctl("run", "mark.py", "--slots", "3")
    assert refused.returncode == 2
    assert "slots" in refused.stderr


def test_a_deleted_run_is_in_the_trash_comes_back_and_is_purged(echo: Machine) -> None:
    echo.ctl("run", "echo.py", check=True)
    (run,) = echo.json("list")["runs"]
    echo.ctl("delete", run["id"], check=True)
    assert echo.json("list")["runs"] == []
    gone = echo.ctl("show", run["id"])
    assert gone.returncode == 4
    assert "restore" in gone.stderr
    echo.ctl("restore", run["id"], check=True)
    assert [again["id"] for again in echo.json("list")["runs"]] == [run["id"]]
    assert echo.ctl("logs", run["id"], check=True).stdout == "1.0 2 'a'\n"
    echo.ctl("rm", run["id"], check=True)
    echo.ctl("purge", "-y", check=True)
    assert echo.ctl("restore", run["id"]).returncode == 4
    assert not Path(run["dir"]).exists()
    assert not list((echo.home / "attempts").rglob("output"))
    assert not list((echo.home / "sources").iterdir()), "its source went with the last run that needed it"


def test_a_place_in_the_list_never_means_a_run_of_the_trash(echo: Machine) -> None:
    for _ in range(2):
        echo.ctl("run", "echo.py", check=True)
    kept, deleted = (run["id"] for run in reversed(echo.json("list")["runs"]))
    echo.ctl("delete", "@1", check=True)
    for command in (["restore", "@1"], ["purge", "@1", "-y"]):
        refused = echo.ctl(*command)
        assert refused.returncode == 4
        assert "give its id" in refused.stderr
    assert [run["id"] for run in echo.json("list")["runs"]] == [kept]
    assert [run["id"] for run in echo.json("list", "--trash")["runs"]] == [deleted]


def test_flags_that_are_too_long_together_for_a_script_are_told(machine: Machine) -> None:
    machine.start()
    machine.script("long.py", "a = ''\nb = ''\nc = ''\n")
    run = machine.json("run", "-d", "long.py", *(f"{name}={'x' * 60_000}" for name in "abc"))["run"]["id"]
    machine.ctl("wait", run)
    told = machine.json("show", run)["run"]["reason"]
    assert told == "could not start: its arguments and environment are too long"
