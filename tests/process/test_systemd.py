"""rund as a service of a real user manager: started, killed, hung, stopped, installed and taken away."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import BIN
from tests.process.user_manager import Served, UserManager, requires_user_manager, wait_for

pytestmark = [requires_user_manager, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
SEQPACKET = "0005"  # as /proc/net/unix has it

# Faults that a signal makes in the real daemon: its loop hangs; its thread that writes hangs in a change; its executor
# hangs at the next start.
_FAULTS = """
import asyncio, gc, signal, threading
kept = []
def hang_loop(*_):
    threading.Event().wait()
def hang_change(_):
    threading.Event().wait()
def hang_writer(*_):
    gc.unfreeze()
    (store,) = [each for each in gc.get_objects() if type(each).__name__ == "Store" and hasattr(each, "directories")]
    kept.append(asyncio.get_running_loop().create_task(store.write(hang_change)))
def hang_starts(*_):
    from rund.executor.local import LocalBackend
    LocalBackend.submit = lambda *_: asyncio.Event().wait()
signal.signal(signal.SIGWINCH, hang_starts)
signal.signal(signal.SIGUSR1, hang_loop)
signal.signal(signal.SIGUSR2, hang_writer)
"""


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserManager]:
    manager = UserManager(tmp_path_factory.mktemp("user"))
    try:
        manager.start()
        yield manager
    finally:
        manager.close()


@pytest.fixture
def home(manager: UserManager, tmp_path: Path) -> Iterator[Served]:
    """A home without a service."""
    served = Served(manager, tmp_path)
    yield served
    served.close()


@pytest.fixture
def service(home: Served) -> Served:
    """A home with the service."""
    home.ctl("service", "install")
    return home


def with_faults(service: Served, *, watchdog: str) -> None:
    """Have a daemon in which faults can be made; what it says goes to the file ``log``."""
    (service.folder / "sitecustomize.py").write_text(_FAULTS)
    environment = f"Environment=PYTHONPATH={service.folder}\nStandardError=append:{service.folder}/log"
    service.drop_in("faults", f"[Service]\nWatchdogSec={watchdog}\n{environment}\n")
    assert service.manager.systemctl("restart", "rund.service").returncode == 0


def without_faults(service: Served) -> None:
    """Have one as it was installed."""
    service.drop_in("faults", "")
    assert service.manager.systemctl("restart", "rund.service").returncode == 0


def test_one_command_installs_it_and_one_takes_it_away(home: Served) -> None:
    said = home.ctl("service", "install", RUND_SLOTS="3").stderr
    assert "RUND_SLOTS" in said
    assert "The daemon runs: pid" in said
    assert "ingering" in said
    for unit in ("rund.socket", "rund.service"):
        path = home.manager.units / unit
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert home.manager.show("FragmentPath", unit) == str(path)
        assert home.manager.show("UnitFileState", unit) == "enabled"
        assert home.manager.show("ActiveState", unit) == "active"
    status = home.json("service", "status")
    assert (status["installed"], status["home"], status["at_login"]) == (True, str(home.home), True)
    assert status["pid"] == home.json("status")["pid"] == home.manager.pid()
    assert "serves" in home.manager.show("StatusText")
    assert home.manager.run("stat", "-c", "%a", status["path"]).stdout.strip() == "600"
    assert home.manager.run("stat", "-c", "%a", str(Path(status["path"]).parent)).stdout.strip() == "700"

    pid = home.manager.pid()
    assert home.json("service", "install")["daemon"]["pid"] == pid, "again: it is left as it is"

    home.drop_in("own", "[Service]\nNice=1\n")
    assert "Removed" in home.ctl("service", "uninstall").stderr
    left = [path for path in home.manager.units.rglob("*") if not path.is_dir()]
    assert [path.name for path in left] == ["own.conf"], "what the user put there stays"
    assert home.manager.show("LoadState", "rund.socket") == "not-found"
    assert home.ctl("service", "uninstall", check=False).returncode == 4
    refused = home.ctl("service", "status", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_systemd_analyze_finds_nothing(service: Served) -> None:
    units = [service.manager.units / name for name in ("rund.socket", "rund.service")]
    for paths in (units, sorted((ROOT / "systemd").glob("rund.s*[et]"))):
        done = service.manager.run("systemd-analyze", "--user", "verify", *map(str, paths))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), paths


def test_the_example_of_limits_is_one_that_systemd_takes(service: Served) -> None:
    example = (ROOT / "systemd" / "rund.service.d" / "limits.conf.example").read_text("utf-8")
    settings = re.findall(r"^#([A-Z]\w+=.*)$", example, re.MULTILINE)
    assert len(settings) > 5
    service.manager.systemctl("stop", "rund.socket", "rund.service")  # what is active keeps its slice
    service.drop_in("limits", "[Service]\n" + "\n".join(settings) + "\n")
    done = service.manager.run("systemd-analyze", "--user", "verify", str(service.manager.units / "rund.service"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    taken = {name: service.manager.show(name) for name in ("TasksMax", "Nice", "Slice", "CPUWeight")}
    assert taken == {"TasksMax": "20000", "Nice": "10", "Slice": "background.slice", "CPUWeight": "50"}


def types_of_sockets(service: Served, process: str) -> set[str]:
    """The types, as the kernel writes them, of the Unix sockets that a process has open."""
    opened = service.manager.run("ls", "-l", f"/proc/{process}/fd").stdout
    numbers = set(re.findall(r"socket:\[(\d+)\]", opened))
    lines = [line.split() for line in service.manager.run("cat", "/proc/net/unix").stdout.splitlines()]
    types = {line[6]: line[4] for line in lines if len(line) > 6}
    return {types.get(number, "of another family") for number in numbers}


def test_the_first_client_starts_the_daemon_and_nothing_that_systemd_gave_it_reaches_runs(service: Served) -> None:
    service.manager.systemctl("stop", "rund.service")
    assert service.manager.pid() == 0
    clients = [service.manager.popen(str(BIN / "runctl"), "status", "--json", **service.env) for _ in range(5)]
    outputs = [client.communicate(timeout=120) for client in clients]
    assert len({json.loads(out)["pid"] for out, _ in outputs}) == 1
    assert service.manager.pid() == json.loads(outputs[0][0])["pid"]

    run_id, go = service.run_that_waits()
    pid = service.ctl("logs", run_id).stdout.split()[1]
    parent = service.manager.run("cat", f"/proc/{pid}/stat").stdout.rpartition(")")[2].split()[1]
    # A shim's leash keeps messages apart; what systemd gives a service does not.
    for process, types in ((pid, set()), (parent, {SEQPACKET})):
        environ = service.manager.run("cat", f"/proc/{process}/environ").stdout
        assert not [name for name in ("NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_") if name in environ]
        assert types_of_sockets(service, process) == types
    go.touch()
    service.ctl("wait", run_id)


def test_a_killed_daemon_is_started_again_and_takes_its_runs_back(service: Served) -> None:
    run_id, go = service.run_that_waits()
    for restarts in (1, 2):
        pid = service.manager.pid()
        assert service.manager.signal("KILL", pid)
        assert service.json("show", run_id)["run"]["status"] == "running", "a client waits at the socket meanwhile"
        wait_for(lambda: service.manager.show("ActiveState") == "active", "it does not come back")
        assert service.manager.pid() not in (0, pid)
        assert int(service.manager.show("NRestarts")) == restarts
    assert service.manager.show("StartLimitIntervalUSec") == "0", "without limit"
    ends_as_it_began(service, run_id, go)


def test_runs_go_on_through_restart_stop_and_uninstall(service: Served) -> None:
    run_id, go = service.run_that_waits()
    assert service.manager.systemctl("restart", "rund.service").returncode == 0
    assert service.json("show", run_id)["run"]["status"] == "running"
    assert service.manager.systemctl("stop", "rund.service").returncode == 0
    assert service.manager.show("Result") == "success"
    assert service.json("show", run_id)["run"]["status"] == "running"
    said = service.ctl("daemon", "stop").stderr
    assert "rund.socket" in said
    wait_for(lambda: service.manager.show("ActiveState") == "inactive", "it was started again")
    assert service.ctl("daemon", "status").stdout, "the socket starts it"
    assert "Runs go on without a daemon (1)" in service.ctl("service", "uninstall").stderr
    ends_as_it_began(service, run_id, go)


def ends_as_it_began(service: Served, run_id: str, go: Path) -> None:
    """The run ends, and was one process all the time."""
    go.touch()
    service.ctl("wait", run_id)
    run = service.json("show", run_id)["run"]
    assert (run["status"], run["attempts"]) == ("completed", 1)
    first, last = service.ctl("logs", run_id).stdout.splitlines()
    assert first.replace("up", "down") == last


@pytest.mark.parametrize(
    ("fault", "watchdog", "told"),
    [
        ("USR1", "5s", "in hang_loop"),
        ("USR2", "5s", "in hang_change"),
        ("WINCH", "3s", "the executor has been at one turn"),
    ],
    ids=["the loop", "the thread that writes", "the executor"],
)
def test_a_daemon_that_hangs_is_started_again(service: Served, fault: str, watchdog: str, told: str) -> None:
    run_id, go = service.run_that_waits()
    (service.folder / "more.py").write_text("x = 1\n")
    with_faults(service, watchdog=watchdog)
    signalled: set[int] = set()

    def has_hung_and_was_ended() -> bool:
        # On a busy machine the watchdog may have ended one that was only slow: then it is the next one's turn.
        pid = service.manager.pid()
        if pid and pid not in signalled and service.manager.show("ActiveState") == "active":
            signalled.add(pid)
            service.manager.signal(fault, pid)
            if fault == "WINCH":
                service.ctl("run", "-d", str(service.folder / "more.py"), check=False)
        return told in (service.folder / "log").read_text()

    wait_for(has_hung_and_was_ended, "the watchdog does not end it", seconds=400)
    wait_for(lambda: service.manager.pid() not in {0, *signalled}, "it is not started again")
    assert int(service.manager.show("NRestarts")) >= 1
    without_faults(service)
    ends_as_it_began(service, run_id, go)
    for run in service.json("list")["runs"]:
        service.ctl("wait", run["id"])


def test_a_daemon_told_to_stop_ends_though_the_disk_hangs(service: Served) -> None:
    with_faults(service, watchdog="600s")
    pid = service.manager.pid()
    assert service.manager.signal("USR2", pid)
    assert service.manager.systemctl("stop", "rund.service").returncode == 0
    assert (service.manager.show("ExecMainStatus"), service.manager.show("Result")) == ("75", "success")
    assert service.json("status")["pid"] != pid


def test_a_daemon_that_cannot_serve_says_so_to_its_clients_and_is_not_started_in_a_loop(service: Served) -> None:
    service.manager.systemctl("stop", "rund.service")
    config = service.manager.folder / ".config" / "rund" / "config.toml"
    config.parent.mkdir()
    config.write_text("slots = 'many'\n")
    refused = service.ctl("list", check=False)
    assert refused.returncode != 0
    assert (refused.stderr.count("\n"), "config.toml" in refused.stderr) == (1, True), refused.stderr
    # In one look: a connection that its client gave up may be answered by one more start.
    ended = {"ActiveState=failed", "ExecMainStatus=78", "NRestarts=0"}
    properties = ("show", "--property=ActiveState,ExecMainStatus,NRestarts", "rund.service")
    wait_for(lambda: set(service.manager.systemctl(*properties).stdout.split()) == ended, "it goes on")
    config.unlink()
    # And that one may have read the old settings.
    wait_for(lambda: service.ctl("list", check=False).returncode == 0, "the socket does not listen any more")


def test_a_daemon_by_hand_makes_way_and_one_beside_the_service_is_told(home: Served) -> None:
    by_hand = home.json("status")["pid"]
    run_id, go = home.run_that_waits()
    answer = home.json("service", "install")
    assert answer["replaced"] == by_hand
    assert home.manager.pid() == answer["daemon"]["pid"] != by_hand
    beside = home.manager.run(str(BIN / "rund"), **home.env)
    assert beside.returncode == 78
    assert "already serves" in beside.stderr
    ends_as_it_began(home, run_id, go)


def test_a_service_whose_daemon_hangs_can_be_taken_away(service: Served) -> None:
    pid = service.manager.pid()
    assert service.manager.signal("STOP", pid)
    taken = service.manager.popen(str(BIN / "runctl"), "service", "uninstall", "--json", **service.env)
    wait_for(lambda: service.manager.show("ActiveState") in ("deactivating", "inactive"), "it is not stopped")
    service.manager.signal("KILL", pid)  # as systemd would do after TimeoutStopSec
    out, err = taken.communicate(timeout=240)
    assert (taken.returncode, json.loads(out)) == (0, {"uninstalled": True, "running": None}), err


def test_a_removed_socket_comes_back(service: Served) -> None:
    path = service.json("service", "status")["path"]
    pid = service.manager.pid()
    service.manager.run("rm", path)
    wait_for(lambda: service.ctl("status", "--no-start", check=False).returncode == 0, "it is not made again")
    assert service.manager.pid() == pid
    service.manager.systemctl("stop", "rund.service")
    assert service.json("status")["pid"] == service.manager.pid() != 0, "systemd listens there again"


def test_paths_with_blanks_quotes_and_signs(home: Served) -> None:
    strange = home.folder / "a b%h$HOME${HOME}"
    subprocess.run([BIN / "python", "-m", "venv", "--without-pip", strange / "venv"], check=True)
    (site,) = (strange / "venv" / "lib").glob("python3*/site-packages")
    paths = subprocess.run(
        [BIN / "python", "-c", "import sys; print('\\n'.join(filter(None, sys.path)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    (site / "here.pth").write_text(f"{ROOT}\n{ROOT / 'client'}\n{paths.stdout}")
    home.home = strange / "\"q'\\n"
    home.env = {"RUND_HOME": str(home.home)}
    python = str(strange / "venv" / "bin" / "python")
    done = home.manager.run(python, str(ROOT / "client" / "bin" / "runctl"), "service", "install", "--json", **home.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["daemon"]["home"] == str(home.home)
    executed = home.manager.run("cat", f"/proc/{home.manager.pid()}/cmdline").stdout.split("\0")
    assert executed[0] == python
    assert home.json("service", "status")["home"] == str(home.home)


def test_units_of_others_are_left_alone(home: Served, tmp_path: Path) -> None:
    own = home.manager.units / "rund.service"
    own.parent.mkdir(parents=True)
    own.write_text("[Service]\nExecStart=/bin/true\n")
    for word, status in (("install", 5), ("uninstall", 4)):
        refused = home.ctl("service", word, check=False)
        assert (refused.returncode, refused.stderr.count("\n")) == (status, 1), refused.stderr
    assert own.read_text() == "[Service]\nExecStart=/bin/true\n"
    own.unlink()
    home.ctl("service", "install")
    for word, status in (("install", 5), ("uninstall", 2)):
        refused = home.ctl("service", word, check=False, RUND_HOME=str(tmp_path / "other"))
        assert refused.returncode == status, refused.stderr
        assert str(home.home) in refused.stderr
    assert home.manager.pid()


def test_units_that_are_symbolic_links_are_taken_away_and_runs_go_on(service: Served, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("rund.socket", "rund.service"):
        path = service.manager.units / name
        path.rename(kept / name)
        path.symlink_to(kept / name)
    assert service.manager.systemctl("daemon-reload").returncode == 0
    run_id, go = service.run_that_waits()
    assert "Runs go on without a daemon (1)" in service.ctl("service", "uninstall").stderr
    assert sorted(path.name for path in kept.iterdir()) == ["rund.service", "rund.socket"]
    assert not (service.manager.units / "rund.socket").is_symlink()
    go.touch()
    service.ctl("wait", run_id)
    assert service.json("show", run_id)["run"]["status"] == "completed"


def test_lingering_is_told(service: Served) -> None:
    fake = service.folder / "bin"
    fake.mkdir()
    for answer, word in (("yes", "Lingering is on"), ("no", "loginctl enable-linger")):
        (fake / "loginctl").write_text(f"#!/bin/sh\necho {answer}\n")
        (fake / "loginctl").chmod(0o755)
        path = f"{fake}:{service.manager.env['PATH']}"
        assert word in service.ctl("service", "status", PATH=path).stderr
        told = json.loads(service.ctl("service", "status", "--json", PATH=path).stdout)
        assert told["lingering"] is (answer == "yes")


def test_it_starts_with_the_session(service: Served) -> None:
    service.json("pause")
    service.manager.close()
    service.manager.start()
    wait_for(lambda: service.manager.show("ActiveState") == "active", "nobody starts it")
    assert service.json("status")["paused"] is True


def test_without_a_user_manager_one_line_says_so(tmp_path: Path) -> None:
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "LANG": "C.UTF-8"}
    for word in ("install", "status"):
        done = subprocess.run(
            [BIN / "runctl", "service", word], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert "no user manager" in done.stderr
    assert list(tmp_path.iterdir()) == []
