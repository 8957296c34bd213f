"""A secret in a run's environment is in no answer, event, log, command line or file but the store's own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from runctl.client import Client

from rund.api.params import METHODS
from rund.errors import RundError
from tests.process.conftest import BIN, Machine, wait_until

SECRET = "hush-5f0c1d9e"
SCRIPT = """
import os, time
x = 1
open("up", "w").close()
while not os.path.exists(os.environ["RUND_HOME"] + "/../go"):
    time.sleep(0.02)
"""


@pytest.fixture
def secretive(machine: Machine) -> Machine:
    """A machine with a daemon of no umask, whose runs have the secret and wait."""
    with (machine.folder / "rund.log").open("ab") as log:
        machine.daemons.append(
            subprocess.Popen(
                [BIN / "rund"],
                env=machine.env | {"RUND_SLOTS": "8"},
                stdin=subprocess.DEVNULL,
                stderr=log,
                umask=0,
            )
        )
    wait_until(lambda: machine.ctl("status", "--no-start").returncode == 0)
    machine.script("waits.py", SCRIPT)
    machine.env["TOKEN"] = SECRET
    return machine


def holds(value: object) -> bool:
    return SECRET in repr(value)


def command_lines(machine: Machine) -> list[bytes]:
    """Of the daemon, the fork server, shims and runs; and the names that they have."""
    found = []
    for pid in machine.processes():
        for name in ("cmdline", "comm"):
            try:
                found.append((Path("/proc") / str(pid) / name).read_bytes())
            except OSError:
                continue
    return found


def test_a_secret_is_told_to_nobody_who_does_not_ask_for_the_environment(secretive: Machine) -> None:
    machine = secretive
    single = machine.json("run", "-d", "waits.py")["run"]
    batch = machine.json("run", "-d", "waits.py", "x=[1,2]")
    ids = [single["id"], *batch["trials"]]
    wait_until(lambda: all((machine.home / "runs" / run[:2] / run / "up").exists() for run in ids))

    lines = command_lines(machine)
    assert any(b"waits.py" in line for line in lines), "it looks at what it is to look at"
    assert any(line.startswith(b"rund-shim") for line in lines)
    assert not any(SECRET.encode() in line for line in lines)
    seen = subprocess.run(["ps", "axww"], capture_output=True, check=True).stdout
    assert SECRET.encode() not in seen

    with Client(machine.env, start=False) as client:
        asked = {
            "hello": {},
            "list": {},
            "show": {"run": single["id"]},
            "trials": {"batch": batch["run"]["id"]},
            "output": {"run": single["id"]},
            "wait": {"runs": ids, "timeout": 0.0},
            "set": {"runs": ids, "label": "label"},
            "events": {"after": 0},
            "subscribe": {"after": 0},
            "unsubscribe": {},
            "status": {},
            "pause": {},
            "resume": {},
        }
        answers: dict[str, Any] = {name: client.call(name, **params) for name, params in asked.items()}
        answers["of a batch"] = client.call("show", run=batch["run"]["id"])
        assert not holds(answers)
        assert holds(client.call("show", run=single["id"], environment=True)), "who asks for it is told"

        # What refuses a request does not repeat what it holds.
        env = {"TOKEN": SECRET}
        for method, params in (
            ("run", {"operation": "missing.py", "cwd": str(machine.project), "env": env}),
            ("run", {"operation": "waits.py", "cwd": str(machine.project), "env": [SECRET]}),
            ("run", {"operation": "waits.py", "cwd": str(machine.project), "env": {"TOKEN": [SECRET]}}),
            ("run", {"operation": "waits.py", "cwd": str(machine.project), "env": env, "args": ["nothing=1"]}),
            ("restart", {"run": single["id"], "env": env, "update_env": True}),
            ("restart", {"run": "ffffffff", "env": env, "update_env": True}),
        ):
            with pytest.raises(RundError) as refused:
                client.call(method, **params)
            assert SECRET not in str(refused.value), method

    (machine.folder / "go").touch()
    machine.ctl("wait", *ids, check=True)
    more: dict[str, Any] = {}
    with Client(machine.env, start=False) as client:
        more["restart"] = client.call("restart", run=single["id"], env=dict(os.environ) | env, update_env=True)
        client.call("wait", runs=[single["id"]])
        more["dry"] = client.call("restart", run=batch["run"]["id"], dry_run=True)
        more["delete"] = client.call("delete", runs=[single["id"]])
        more["restore"] = client.call("restore", runs=[single["id"]])
        more["start"] = answer_or_error(client, "start", run=single["id"])
        more["stop"] = client.call("stop", runs=[single["id"]])
        more["events"] = client.call("events", after=0)
        more["backup"] = client.call("backup", path=str(machine.folder / "backup"))
        client.call("delete", runs=[single["id"]])
        more["purge"] = client.call("purge", runs=[single["id"]])
    assert not holds(more)
    untold = set(METHODS) - {*asked, *more, "run", "shutdown"}
    assert untold == set(), "a new method is to be asked too"
    for command in (["list"], ["status"], ["config"], ["show", batch["run"]["id"]], ["logs", batch["trials"][0]]):
        done = machine.ctl(*command)
        assert SECRET not in done.stdout + done.stderr
    assert SECRET not in (machine.folder / "rund.log").read_text()
    # The store's database keeps it, for restarts; so do its log and its backups.
    others = [path for path in files(machine.home) if path.name.partition("-")[0] != "rund.db"]
    with_secret = [path for path in others if path.parent.name != "backups" and SECRET.encode() in content(path)]
    assert with_secret == []


def answer_or_error(client: Client, method: str, **params: Any) -> Any:
    try:
        return client.call(method, **params)
    except RundError as error:
        return str(error)


def files(home: Path) -> list[Path]:
    # The daemon removes folders while they are looked through: `Path.rglob` raises then.
    found = (Path(folder, name) for folder, _, names in os.walk(home) for name in names)
    return [path for path in found if path.is_file() and not path.is_symlink()]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_what_the_daemon_makes_is_its_owners_alone_whatever_its_umask(secretive: Machine) -> None:
    machine = secretive
    run = machine.json("run", "-d", "waits.py")["run"]
    wait_until(Path(run["dir"], "up").exists)
    (machine.folder / "go").touch()
    machine.ctl("wait", run["id"], check=True)
    assert mode(machine.home) == 0o700
    for name in ("runs", "attempts", "sources", "removed"):
        assert mode(machine.home / name) == 0o700
    attempt = machine.home / "attempts" / run["id"][:2] / f"{run['id']}-1"
    assert mode(attempt) == mode(Path(run["dir"])) == 0o700
    assert {path.name for path in files(attempt)} >= {"exit", "output", "shim.lock", "started", "trial.lock"}
    loose = {
        json.dumps(str(path)): oct(mode(path))
        for path in [*files(attempt), *(path for path in machine.home.iterdir() if path.is_file()), machine.socket]
        if mode(path) & 0o077
    }
    assert loose == {}
    assert mode(machine.socket.parent) == 0o700


def test_folders_that_are_made_again_are_their_owners_alone_whatever_the_umask(machine: Machine) -> None:
    machine.launcher = ["sh", "-c", 'umask 000; exec "$@"', "sh"]
    machine.start()
    machine.script("one.py", "n = 1\nprint(n)\n")
    names = ("runs", "attempts", "sources")
    for name in names:
        (machine.home / name).rename(machine.folder / name)
    runtime = machine.socket.parent.parent
    runtime.rename(machine.folder / "moved")
    wait_until(lambda: machine.socket.exists())
    run = machine.json("run", "-d", "one.py")["run"]
    machine.ctl("wait", run["id"], check=True)
    assert machine.ctl("logs", run["id"]).stdout == "1\n"
    below = [machine.home / name / run["id"][:2] for name in ("runs", "attempts")]
    for path in (runtime, machine.socket.parent, *(machine.home / name for name in names), *below):
        assert mode(path) == 0o700, path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
