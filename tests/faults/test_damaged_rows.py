"""Damaged rows and records: the run is set aside and named, and can be stopped, deleted and purged; its batch and the rest go on."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

from tests.process.conftest import Machine, wait_until

WAIT = "import os, time\nx = 1\nprint('up')\nwhile not os.path.exists('{go}'):\n    time.sleep(0.05)\n"
# What is done to a run's row, and what is said of it.
DAMAGES = {
    "flags": ("UPDATE runs SET flags = '{oh' WHERE id = ?", "its flags cannot be read"),
    "setup": ("UPDATE runs SET setup = 99999 WHERE id = ?", "its operation and options cannot be read"),
    "scalars": ("UPDATE runs SET scalars = '{1' WHERE id = ?", "its scalars cannot be read"),
    "attempt": (
        "UPDATE attempts SET flags = '{', token = '../../' || token WHERE run = (SELECT key FROM runs WHERE id = ?)",
        "",
    ),
    "no attempt": ("DELETE FROM attempts WHERE run = (SELECT key FROM runs WHERE id = ?)", ""),
}


def harm(machine: Machine, statement: str, *values: str) -> None:
    """Damage the database as a bad disk might: nothing checks it."""
    connection = sqlite3.connect(machine.home / "rund.db", isolation_level=None, timeout=60)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    assert connection.execute(statement, values).rowcount == 1
    connection.close()


def shown(machine: Machine, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = machine.json("show", run_id)["run"]
    return found


def check_it_can_be_taken_away(machine: Machine, run_id: str, words: str) -> None:
    """The run is listed and named, is not started, and goes for good."""
    if words:
        assert words in shown(machine, run_id)["reason"]
        listed = {run["id"]: run["reason"] for run in machine.json("list", "-n", "100")["runs"]}
        assert listed[run_id].startswith("damaged: ")
        refused = machine.ctl("restart", run_id, "-d")
        assert refused.returncode == 2
        assert "is damaged" in refused.stderr
        assert "runctl delete" in refused.stderr
    machine.ctl("logs", run_id)
    machine.ctl("stop", run_id, check=True)
    folder = Path(shown(machine, run_id)["dir"])
    machine.ctl("delete", run_id, check=True)
    machine.ctl("restore", run_id, check=True)
    machine.ctl("delete", run_id, check=True)
    machine.ctl("purge", run_id, "-y", check=True)
    wait_until(lambda: not folder.exists())
    assert machine.ctl("show", run_id).returncode == 4


def test_damaged_runs_that_live_are_taken_back_end_and_can_be_taken_away(machine: Machine) -> None:
    machine.start(RUND_SLOTS="20")
    machine.script("wait.py", WAIT.format(go=machine.folder / "go"))
    runs = {name: machine.json("run", "-d", "wait.py", f"x={at}")["run"]["id"] for at, name in enumerate(DAMAGES)}
    stopped, sound = (machine.json("run", "-d", "wait.py", f"x={at}")["run"]["id"] for at in (76, 77))
    every = [*runs.values(), stopped, sound]
    wait_until(lambda: all(machine.ctl("logs", run_id).stdout == "up\n" for run_id in every))
    machine.kill()
    for name, run_id in runs.items():
        harm(machine, DAMAGES[name][0], run_id)
    harm(machine, DAMAGES["flags"][0], stopped)
    machine.start(RUND_SLOTS="20")
    assert machine.json("list", "--status", "running")["total"] == len(every), "they are taken back"
    machine.ctl("stop", stopped, check=True)
    assert shown(machine, stopped)["status"] == "terminated"
    (machine.folder / "go").touch()
    machine.ctl("wait", *every)
    assert (shown(machine, sound)["status"], shown(machine, sound)["reason"]) == ("completed", None)
    for name, run_id in runs.items():
        assert (shown(machine, run_id)["status"], shown(machine, run_id)["exit_status"]) == ("completed", 0), name
        check_it_can_be_taken_away(machine, run_id, DAMAGES[name][1])
    assert machine.ctl("run", "wait.py", "x=5").returncode == 0


def test_a_damaged_trial_leaves_its_batch_and_the_batch_goes_on(machine: Machine) -> None:
    what = "flags"
    machine.start(RUND_SLOTS="20")
    machine.script("one.py", "x = 1\ny = 1\nprint(x, y)\n")
    machine.ctl("pause", check=True)
    batch = machine.json("run", "-d", "one.py", "x=[1,2]", "y=[3,4]")
    trials = batch["trials"]
    machine.kill()
    harm(machine, DAMAGES[what][0], trials[1])
    machine.start(RUND_SLOTS="20")
    machine.ctl("resume", check=True)
    machine.ctl("wait", batch["run"]["id"], check=True)
    after = shown(machine, batch["run"]["id"])
    assert after["trials"] == [trials[0], *trials[2:]]
    assert after["generation"] == batch["generation"] + 1
    assert after["status"] == "completed"
    assert DAMAGES[what][1] in shown(machine, trials[1])["reason"]
    again = machine.json("restart", batch["run"]["id"], "--needed", "-d")
    machine.ctl("wait", batch["run"]["id"], check=True)
    (made,) = again["plan"]["created"]
    assert again["trials"] == [trials[0], made, *trials[2:]]
    assert shown(machine, made)["flags"] == {"x": 1, "y": 4}
    check_it_can_be_taken_away(machine, trials[1], DAMAGES[what][1])


def test_a_trial_damaged_before_a_restart_is_made_anew(machine: Machine) -> None:
    machine.start()
    machine.script("one.py", "x = 1\nprint(x)\n")
    batch = machine.json("run", "-d", "one.py", "x=[1,2,3]")
    name = batch["run"]["id"]
    machine.ctl("wait", name, check=True)
    harm(machine, "UPDATE runs SET setup = 99999 WHERE id = ?", batch["trials"][0])
    assert machine.ctl("restart", name, "--dry-run").returncode == 0
    again = machine.json("restart", name, "--needed", "-d")
    assert again["trials"][1:] == batch["trials"][1:]
    assert [again["trials"][0]] == again["plan"]["created"]
    machine.ctl("wait", name, check=True)
    assert shown(machine, name)["trials"] == again["trials"]


def test_a_count_that_no_command_line_can_hold_hinders_no_other(machine: Machine) -> None:
    daemon = machine.start(RUND_SLOTS="1")
    machine.script(
        "count.py",
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('-v', '--verbose', action='count', default=0)\n"
        "print(parser.parse_args().verbose)\n",
    )
    machine.ctl("pause", check=True)
    damaged = [machine.json("run", "-d", "count.py", f"verbose={at}")["run"]["id"] for at in (1, 2)]
    sound = machine.json("run", "-d", "count.py", "verbose=3")["run"]["id"]
    for run_id, count in zip(damaged, (10**15, 2**63), strict=True):
        harm(machine, f"""UPDATE runs SET flags = '{{"verbose":{count}}}' WHERE id = ?""", run_id)
    machine.ctl("resume", check=True)
    machine.ctl("wait", *damaged, sound)
    assert [shown(machine, run_id)["status"] for run_id in damaged] == ["error", "error"]
    for run_id in damaged:
        assert shown(machine, run_id)["reason"].startswith("could not start: verbose: expected a count of 100 at most")
    assert machine.ctl("logs", sound).stdout == "3\n"
    assert daemon.poll() is None


def test_lost_contents_and_a_lost_batch_hinder_no_other(machine: Machine) -> None:
    machine.start()
    machine.script("one.py", "x = 1\nprint(x)\n")
    machine.script("two.py", "x = 2\nprint(x)\n")
    machine.ctl("pause", check=True)
    lost = machine.json("run", "-d", "one.py")["run"]["id"]
    batch = machine.json("run", "-d", "two.py", "x=[5,6]")
    machine.kill()
    harm(machine, "UPDATE operations SET body = '{}' WHERE body LIKE '%one.py%'")
    harm(machine, "DELETE FROM batches")
    machine.start()
    machine.ctl("resume", check=True)
    machine.ctl("wait", lost, batch["run"]["id"])
    assert shown(machine, lost)["reason"].startswith("could not start: its operation or environment is lost")
    assert shown(machine, batch["run"]["id"])["status"] == "completed"
    machine.ctl("list", check=True)
    refused = machine.ctl("restart", batch["run"]["id"], "-d")
    assert refused.returncode != 0
    assert "damaged" in refused.stderr
    machine.ctl("delete", batch["run"]["id"], "--with-trials", check=True)
    machine.ctl("purge", "-y", check=True)


def test_a_damaged_record_of_a_trial_is_told_and_hinders_no_other(machine: Machine) -> None:
    machine.start(RUND_SLOTS="3")
    machine.script("wait.py", WAIT.format(go=machine.folder / "go"))
    runs = [machine.json("run", "-d", "wait.py", f"x={at}")["run"]["id"] for at in range(3)]
    wait_until(lambda: all(machine.ctl("logs", run_id).stdout == "up\n" for run_id in runs))
    machine.kill()
    (machine.folder / "go").touch()
    wait_until(lambda: not machine.processes())  # their shims have recorded the ends
    end, start, _ = (machine.home / "attempts" / run_id[:2] / f"{run_id}-1" for run_id in runs)
    for record in (end / "exit", start / "started"):
        # Another digit: what stands there still says something, and only the checksum tells that it is not true.
        other = re.sub(rb'(?<="boottime": )\d', lambda digit: b"%d" % (9 - int(digit[0])), record.read_bytes())
        assert other != record.read_bytes()
        record.write_bytes(other)
    machine.start(RUND_SLOTS="3")
    machine.ctl("wait", *runs)
    told = [[shown(machine, run_id)[name] for name in ("status", "reason", "attempts")] for run_id in runs]
    # Its end is known all the same where only the record of the start is damaged.
    assert told == [["error", "lost: its records are damaged", 1], ["completed", None, 1], ["completed", None, 1]]
    assert machine.ctl("restart", runs[0]).returncode == 0
    assert (shown(machine, runs[0])["status"], shown(machine, runs[0])["attempts"]) == ("completed", 2)


def test_waiting_runs_that_have_lost_their_last_attempt_are_withdrawn_and_hold_up_no_other(machine: Machine) -> None:
    machine.start(RUND_SLOTS="1")
    machine.script("one.py", "import sys\nx = 1\nsys.exit(x)\n")
    batch = machine.json("run", "-d", "one.py", "x=[1,0,2]")
    single = machine.json("run", "-d", "one.py", "x=0")["run"]["id"]
    machine.ctl("wait", batch["run"]["id"], single)
    machine.ctl("pause", check=True)
    machine.ctl("restart", batch["run"]["id"], "--fail-fast", "-d", check=True)
    machine.ctl("restart", single, "-d", check=True)
    machine.kill()
    _, lost, unended = batch["trials"]
    for run_id in (lost, single):
        harm(machine, DAMAGES["no attempt"][0], run_id)
    harm(
        machine,
        "UPDATE attempts SET status = 'running', stopped = NULL WHERE run = (SELECT key FROM runs WHERE id = ?)",
        unended,
    )
    machine.start(RUND_SLOTS="1")
    machine.ctl("stop", single, check=True)
    assert (shown(machine, single)["status"], shown(machine, single)["reason"]) == ("error", "stopped")
    machine.ctl("resume", check=True)
    machine.ctl("wait", batch["run"]["id"])
    after = [shown(machine, run_id) for run_id in batch["trials"]]
    assert [(run["status"], run["reason"]) for run in after] == [("error", "exit 1"), *[("error", "stopped")] * 2]
    assert machine.ctl("run", "one.py", "x=0").returncode == 0
    for run_id in (lost, single, unended):
        machine.ctl("restart", run_id, check=False)
        assert shown(machine, run_id)["exit_status"] == shown(machine, run_id)["flags"]["x"]


def test_a_damaged_operation_is_none_that_run_needed_means_and_whole_again_when_it_is_run_anew(
    machine: Machine,
) -> None:
    machine.start()
    machine.script("one.py", "x = 1\nprint(x)\n")
    batch = machine.json("run", "-d", "one.py", "x=[1,2]")["run"]["id"]
    machine.ctl("wait", batch, check=True)
    machine.kill()
    harm(machine, "UPDATE operations SET body = '[]' WHERE body LIKE '%one.py%'")
    machine.start()
    refused = machine.ctl("restart", batch, "-d")
    assert refused.returncode == 2
    assert "its operation is damaged in the store: make the run anew" in refused.stderr
    again = machine.json("run", "-d", "one.py", "x=[1,2]", "--needed")["run"]["id"]
    assert again != batch
    machine.ctl("wait", again, check=True)
    machine.ctl("restart", batch, check=True)


def test_garbage_that_is_none_of_ours_is_left(machine: Machine) -> None:
    machine.start()
    machine.ctl("daemon", "stop", check=True)
    precious = machine.folder / "precious"
    precious.mkdir()
    connection = sqlite3.connect(machine.home / "rund.db", isolation_level=None)
    connection.executemany(
        "INSERT INTO garbage VALUES (?)", [("../precious",), (str(precious),), ("rund.db",), ("runs",)]
    )
    connection.close()
    machine.start()
    machine.ctl("list", check=True)
    machine.ctl("daemon", "stop", check=True)
    assert precious.is_dir()
    assert (machine.home / "runs").is_dir()
    assert (machine.home / "rund.db").is_file()
