"""Another user of the machine: cannot connect, read the store, or stand where the daemon or its clients look."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import BIN, DEADLINE, Machine

STRANGER = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

# Becomes another user after everything is loaded, for this user's Python may be out of the other's reach.
BECOME = f"""
import os, socket, sys
from pathlib import Path
encoding = "x".encode("idna")  # loaded now
os.setgroups([])
os.setresgid({STRANGER}, {STRANGER}, {STRANGER})
os.setresuid({STRANGER}, {STRANGER}, {STRANGER})
os.umask(0)
def tried(deed):
    try:
        return deed()
    except OSError as error:
        return type(error).__name__
"""


def stranger(code: str, *args: object) -> str:
    """What Python code prints that runs as another user."""
    command = [sys.executable, "-I", "-c", BECOME + code, *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE).stdout


@pytest.fixture
def public() -> Iterator[Machine]:
    """A machine in a folder that everybody can look into, as home folders often are."""
    folder = Path(tempfile.mkdtemp(prefix="rund-test-"))
    folder.chmod(0o755)
    machine = Machine(folder)
    (folder / "run").mkdir(mode=0o755)
    yield machine
    machine.close()
    shutil.rmtree(folder)


LOOK = """
home, socket_path = map(Path, sys.argv[1:])
def connect():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(socket_path))
        client.settimeout(60)
        client.sendall(bytes.fromhex("9400 01a6 7374 6174 7573 90".replace(" ", "")))
        return client.recv(1000)
print([
    tried(lambda: sorted(os.listdir(home))), tried(lambda: (home / "rund.db").read_bytes()),
    tried(lambda: (home / "socket").read_text()), tried(lambda: os.listdir(socket_path.parent)), tried(connect),
])
"""


def test_a_stranger_can_neither_look_nor_connect(public: Machine) -> None:
    public.start()
    assert stranger(LOOK, public.home, public.socket) == f"{['PermissionError'] * 5}\n"


def test_who_opens_his_folders_by_mistake_is_served_alone_all_the_same(public: Machine) -> None:
    public.start()
    public.socket.parent.chmod(0o755)
    public.socket.chmod(0o666)
    seen = stranger(LOOK, public.home, public.socket)
    # It is closed without a word; what was sent into it may make a reset of that.
    assert seen in (
        f"{['PermissionError'] * 3 + [[public.socket.name], answer]}\n"
        for answer in (b"", "ConnectionResetError", "BrokenPipeError")
    )
    assert public.ctl("status", "--no-start").returncode == 0
    assert f"user {STRANGER} tried to connect, and may not" in (public.folder / "rund.log").read_text()


SQUAT = """
place = Path(sys.argv[1])
place.mkdir(mode=0o777)
(place / "stranger").touch()
"""


def test_a_socket_folder_that_a_stranger_made_first_is_not_used(public: Machine) -> None:
    (public.folder / "run").chmod(0o1777)
    stranger(SQUAT, public.folder / "run" / "rund")
    refused = subprocess.run(
        [BIN / "rund"], env=public.env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert refused.returncode == 78  # EX_CONFIG
    assert "belongs to another user: set RUND_SOCKET to a path in a folder of your own" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [path.name for path in (public.folder / "run" / "rund").iterdir()] == ["stranger"]


LISTEN = """
path = sys.argv[1]
Path(path).parent.mkdir(mode=0o777, exist_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
print("listens", flush=True)
client, _ = server.accept()
with client:
    print(client.recv(1_000_000), flush=True)
"""


@pytest.mark.parametrize("kind", ["command", "python", "async"])
def test_a_client_tells_nothing_to_a_stranger_who_listens_where_its_daemon_should(public: Machine, kind: str) -> None:
    (public.folder / "run").chmod(0o1777)
    public.start()
    path = public.socket  # whoever knows the path of the home can know this
    public.ctl("daemon", "stop", check=True)
    shutil.rmtree(path.parent)
    public.script("job.py", "print(1)\n")
    ask = {
        "command": [BIN / "runctl", "run", "job.py"],
        "python": [sys.executable, "-c", "import runctl\nwith runctl.connect() as rund: rund.run('job.py')"],
        "async": [
            sys.executable,
            "-c",
            "import anyio, runctl\n"
            "async def main():\n    async with runctl.connect_async() as rund:\n        await rund.run('job.py')\n"
            "anyio.run(main)",
        ],
    }[kind]
    with subprocess.Popen(
        [sys.executable, "-I", "-c", BECOME + LISTEN, path], stdout=subprocess.PIPE, text=True
    ) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listens\n"
        asked = subprocess.run(
            ask,
            env=public.env | {"TOKEN": "hush-hush"},
            cwd=public.project,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        heard = listener.stdout.readline()
    assert asked.returncode == (3 if kind == "command" else 1)
    assert f"the socket {path} cannot be used: user {STRANGER} listens there" in asked.stderr
    assert heard == "b''\n"
