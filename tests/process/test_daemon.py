"""The daemon: one per home, started by itself, killed and come back, with nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rund.executor.records import read_exit
from tests.integration.stores import SCHEMAS, make_home
from tests.process.conftest import BIN, DEADLINE, Machine, wait_until


def test_runs_outlive_a_killed_daemon_and_the_next_one_takes_them_back(machine: Machine) -> None:
    machine.start(RUND_SLOTS="10")
    machine.script(
        "slow.py",
        "import time\nn = 0\nprint('begin', n)\nopen('../../../ran', 'a').write(f'{n}\\n')\n"
        "time.sleep(5)\nprint('end', n)\n",
    )
    ids = [machine.json("run", "-d", "slow.py", f"n={number}")["run"]["id"] for number in range(10)]
    ran = machine.home / "ran"
    wait_until(lambda: ran.exists() and len(ran.read_text().split()) == 10)
    machine.kill()
    machine.start(RUND_SLOTS="10")
    counts = machine.json("status")["counts"]
    assert counts["running"] + counts["completed"] == 10, counts
    machine.ctl("wait", *ids, check=True)
    for number, run_id in enumerate(ids):
        run = machine.json("show", run_id)["run"]
        assert (run["status"], run["attempts"]) == ("completed", 1)
        assert machine.ctl("logs", run_id, check=True).stdout == f"begin {number}\nend {number}\n"
        assert run["stopped"] - run["started"] >= 5
    assert sorted(map(int, ran.read_text().split())) == list(range(10)), "each ran exactly once"


def test_runs_that_end_while_no_daemon_runs_are_told_with_their_true_times(machine: Machine) -> None:
    machine.start()
    machine.script(
        "wait.py",
        "import os, time\nprint('up')\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\nprint('down')\nraise SystemExit(3)\n",
    )
    run = machine.json("run", "-d", "wait.py")["run"]
    wait_until(lambda: machine.ctl("logs", run["id"]).stdout == "up\n")
    machine.kill()
    shims = machine.processes()
    (Path(run["dir"]) / "go").touch()
    wait_until(lambda: not machine.processes())
    assert shims
    machine.start()
    ended = machine.json("show", run["id"])["run"]
    assert (ended["status"], ended["reason"], ended["exit_status"]) == ("error", "exit 3", 3)
    attempt = machine.home / "attempts" / run["id"][:2] / f"{run['id']}-1"
    record = read_exit((attempt / "exit").read_bytes())  # written before this daemon began
    assert record is not None
    assert ended["stopped"] == record.ended
    assert machine.ctl("logs", run["id"]).stdout == "up\ndown\n"


def test_a_stop_is_carried_through_by_the_next_daemon(machine: Machine) -> None:
    machine.start(RUND_GRACE="1")
    machine.script("stubborn.sh", "#!/bin/sh\ntrap '' TERM\necho up\nwhile :; do sleep 1; done\n").chmod(0o755)
    run = machine.json("run", "-d", "./stubborn.sh")["run"]
    wait_until(lambda: machine.ctl("logs", run["id"]).stdout == "up\n")
    machine.ctl("stop", "--no-wait", run["id"], check=True)
    machine.kill()
    machine.start(RUND_GRACE="1")
    machine.ctl("wait", run["id"])
    ended = machine.json("show", run["id"])["run"]
    assert (ended["status"], ended["reason"]) == ("terminated", "stopped")


def test_twenty_clients_at_once_start_one_daemon_and_have_twenty_answers(machine: Machine) -> None:
    clients = [machine.popen("status", "--json") for _ in range(20)]
    answers = []
    for client in clients:
        out, err = client.communicate(timeout=DEADLINE)
        assert client.returncode == 0, err
        answers.append(json.loads(out))
    assert len({answer["pid"] for answer in answers}) == 1
    assert machine.ctl("daemon", "stop", check=True).returncode == 0
    wait_until(lambda: not machine.processes())


def test_one_daemon_per_home(served: Machine) -> None:
    second = subprocess.run(
        [BIN / "rund"], env=served.env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert second.returncode == 78
    (line,) = second.stderr.splitlines()
    assert "already serves" in line
    assert str(served.daemons[0].pid) in line
    assert served.ctl("status").returncode == 0


def test_sigterm_and_ctrl_c_stop_the_daemon_and_leave_runs_running(machine: Machine) -> None:
    machine.script(
        "wait.py",
        "import os, time\nprint('up')\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\nprint('done')\n",
    )
    daemon = machine.start()
    run = machine.json("run", "-d", "wait.py")["run"]
    wait_until(lambda: machine.ctl("logs", run["id"]).stdout == "up\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        wait_until(lambda: machine.json("show", run["id"])["run"]["status"] == "running")
        daemon.send_signal(number)
        assert daemon.wait(DEADLINE) == 0
        assert not machine.socket.exists()
        daemon = machine.start()
    (Path(run["dir"]) / "go").touch()
    machine.ctl("wait", run["id"], check=True)
    assert machine.ctl("logs", run["id"]).stdout == "up\ndone\n"


def test_stopping_the_daemon_with_its_runs_ends_them(served: Machine) -> None:
    served.script("sleep.sh", "#!/bin/sh\nsleep 3600\n").chmod(0o755)
    served.ctl("run", "-d", "./sleep.sh", check=True)
    wait_until(lambda: served.json("status")["counts"]["running"] == 1)
    served.ctl("daemon", "stop", "--with-runs", check=True)
    wait_until(lambda: not served.processes())
    served.start()
    assert served.json("list")["runs"][0]["status"] == "terminated"


def test_what_is_the_owners_is_the_owners_alone(served: Machine) -> None:
    served.script("echo.py", "x = 1\nprint(x)\n")
    served.ctl("run", "echo.py", check=True)
    for path, mode in ((served.home, 0o700), (served.home / "rund.db", 0o600), (served.socket, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert stat.S_IMODE(served.socket.parent.stat().st_mode) & 0o077 == 0


def test_the_environment_is_the_clients_and_stays_out_of_what_is_shown(served: Machine) -> None:
    served.script("env.py", "import os\nprint(os.environ['SECRET'])\n")
    result = served.ctl("run", "env.py", env={"SECRET": "abc123"}, check=True)
    assert result.stdout == "abc123\n"
    shown = served.ctl("show", "@1", "--json", check=True).stdout + served.ctl("list", "--json").stdout
    assert "abc123" not in shown + (served.folder / "rund.log").read_text()
    assert served.ctl("restart", "@1", env={"SECRET": "other"}, check=True).stdout == "abc123\n"
    assert served.ctl("restart", "@1", "--update-env", env={"SECRET": "other"}, check=True).stdout == "other\n"


def test_a_client_of_another_home_is_refused(served: Machine, tmp_path: Path) -> None:
    refused = served.ctl(
        "status", "--no-start", env={"RUND_HOME": str(tmp_path / "other"), "RUND_SOCKET": str(served.socket)}
    )
    assert refused.returncode != 0
    assert "home" in refused.stderr


def test_settings_have_values_and_origins_and_bad_ones_are_named(machine: Machine) -> None:
    config = machine.folder / ".config" / "rund" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("slots = 3\n")
    daemon = machine.start()
    rows = {row["name"]: row for row in machine.json("status")["settings"]}
    assert (rows["slots"]["value"], rows["slots"]["origin"]) == (3, str(config))
    assert (rows["grace"]["value"], rows["grace"]["origin"]) == (1.5, "RUND_GRACE")
    daemon.terminate()
    daemon.wait(DEADLINE)
    config.write_text("slots = 0\n")
    for text, named in (("slots = 0\n", "slots"), ("slot = 1\n", "slot"), ("slots = \n", "TOML")):
        config.write_text(text)
        refused = subprocess.run(
            [BIN / "rund"], env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert refused.returncode == 78
        (line,) = refused.stderr.splitlines()
        assert named in line
        assert str(config) in line


@pytest.mark.parametrize("what", ["fifo", "device", "folder", "large"])
def test_settings_that_are_no_file_of_settings_are_refused_at_once(machine: Machine, what: str) -> None:
    config = machine.folder / ".config" / "rund" / "config.toml"
    config.parent.mkdir(parents=True)
    if what == "fifo":
        os.mkfifo(config)
    elif what == "device":
        config.symlink_to("/dev/zero")
    elif what == "folder":
        config.mkdir()
    else:
        config.write_bytes(b"#" * 2**21)
    refused = subprocess.run(
        [BIN / "rund"], env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (78, 1)
    assert f"{config} is no file of settings" in refused.stderr
    assert "is no file of settings" in machine.ctl("doctor").stdout, "also before there is a home"


def test_a_request_made_twice_is_carried_out_once_also_after_a_crash(machine: Machine) -> None:
    code = (
        "import os, runctl, sys\n"
        "with runctl.connect() as rund:\n"
        "    reply = rund.call('run', operation='echo.py', cwd=os.getcwd(), env=dict(os.environ),"
        " args=sys.argv[1:], request_id='r1')\n"
        "    print(reply['run']['id'])\n"
    )

    def request(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=machine.project, env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip

    machine.start()
    machine.script("echo.py", "x = 1\nprint(x)\n")
    first = request("x=2")
    assert first.returncode == 0, first.stderr
    machine.kill()
    (machine.project / "echo.py").unlink()
    machine.start()
    assert request("x=2").stdout == first.stdout
    assert machine.json("list")["total"] == 1
    other = request("x=3")
    assert "ConflictError" in other.stderr


def test_a_folder_of_other_things_is_no_home_and_stays_as_it_is(machine: Machine) -> None:
    machine.home.mkdir(mode=0o755)
    (machine.home / "thesis.tex").write_text("all of it")
    for _ in range(2):
        refused = subprocess.run(
            [BIN / "rund"], env=machine.env, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert refused.returncode == 78
        assert "thesis.tex" in refused.stderr
    assert [path.name for path in machine.home.iterdir()] == ["thesis.tex"]
    assert stat.S_IMODE(machine.home.stat().st_mode) == 0o755


def test_a_home_that_cannot_be_made_is_told_in_one_line(machine: Machine) -> None:
    blocked = machine.folder / "file"
    blocked.write_text("")
    refused = subprocess.run(
        [BIN / "rund"], env=machine.env | {"RUND_HOME": str(blocked / "home")},
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert os.fspath(blocked) in refused.stderr


def test_a_socket_that_was_removed_is_made_again(served: Machine) -> None:
    socket = served.socket
    # In one step: between two the daemon may have made it again.
    socket.parent.rename(socket.parent.with_name("gone"))
    wait_until(lambda: served.ctl("status", "--no-start").returncode == 0)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert len(served.processes()) <= 2, "the daemon and its fork server, and no other"


def test_a_full_disk_stops_no_reading_and_work_goes_on_when_there_is_room(machine: Machine) -> None:
    machine.home.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", machine.home], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        daemon = machine.start()
        machine.script(
            "wait.py",
            "import os, time\nprint('up')\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\nprint('down')\n",
        )
        run = machine.json("run", "-d", "wait.py")["run"]
        wait_until(lambda: machine.ctl("logs", run["id"]).stdout == "up\n")
        ballast = machine.home / "runs" / "ballast"
        fill(ballast)
        (Path(run["dir"]) / "go").symlink_to("/")
        refused = machine.ctl("run", "wait.py", "-d")
        assert refused.returncode == 1
        assert "full" in refused.stderr
        assert machine.json("list")["runs"][0]["id"] == run["id"]
        machine.kill()
        assert daemon.poll() is not None
        machine.start()
        assert machine.json("show", run["id"])["run"]["id"] == run["id"]
        ballast.unlink()
        machine.ctl("wait", run["id"], check=True)
        assert machine.json("show", run["id"])["run"]["status"] == "completed"
        assert machine.ctl("logs", run["id"]).stdout == "up\ndown\n"
        machine.close()
    finally:
        subprocess.run(["umount", "-l", machine.home], check=False)


def fill(path: Path) -> None:
    """Leave no block free."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


def test_the_log_of_a_daemon_that_a_client_started_is_bounded(machine: Machine) -> None:
    machine.home.mkdir(mode=0o700)
    log, before = machine.home / "rund.log", machine.home / "rund.log.1"
    log.write_bytes(b"of earlier daemons\n" * 250_000)
    machine.ctl("list", check=True)
    wait_until(before.exists)
    machine.ctl("daemon", "stop", check=True)
    assert before.stat().st_size > 4_000_000
    assert log.stat().st_size < 10_000
    assert "stopping" in log.read_text()


def told_until_ready(machine: Machine) -> list[bytes]:
    """What a daemon, which is stopped then, tells its service manager until it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = machine.folder / f"notify-{len(machine.daemons)}"
        manager.bind(str(path))
        manager.settimeout(DEADLINE)
        machine.start(NOTIFY_SOCKET=str(path))
        told = [manager.recv(4096)]
        while not told[-1].startswith(b"READY=1"):
            told.append(manager.recv(4096))
    machine.ctl("daemon", "stop", check=True)
    machine.daemons[-1].wait(DEADLINE)
    return told


def test_a_service_manager_is_asked_for_time_while_an_older_store_is_brought_up_to_date(machine: Machine) -> None:
    make_home(machine.home, SCHEMAS[0])
    first = told_until_ready(machine)[0]
    assert first.startswith(b"EXTEND_TIMEOUT_USEC=")
    assert b"STATUS=brings the store up to date" in first
    assert not [told for told in told_until_ready(machine) if b"EXTEND" in told], "there is nothing to do any more"
