"""What is asked again and again is answered from what was kept, and never with what a commit has made old."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from runctl.client import Client

from tests.process.conftest import Machine

CHANGES = 150
READERS = 4


def test_no_reader_sees_what_is_older_than_an_acknowledged_change(served: Machine) -> None:
    served.script("echo.py", "x = 1\nprint(x)\n")
    run = served.json("run", "--stage", "echo.py")["run"]["id"]
    acknowledged = [0]
    done = threading.Event()

    with Client(served.env, start=False) as client, ThreadPoolExecutor(READERS) as pool:

        def label_of_show() -> str:
            label: str = client.call("show", run=run)["run"]["label"]
            return label

        def label_of_list() -> str:
            label: str = client.call("list")["runs"][0]["label"]
            return label

        def read(look: Callable[[], str]) -> None:
            """Looks until all changes are made, and once more."""
            seen, over = 0, False
            while not over:
                over = done.is_set()
                least = max(seen, acknowledged[0])
                seen = int(look())
                assert seen >= least

        client.call("set", runs=[run], label="0")
        readers = [pool.submit(read, look) for look in (label_of_show, label_of_list) * (READERS // 2)]
        try:
            for number in range(1, CHANGES + 1):
                client.call("set", runs=[run], label=str(number))
                acknowledged[0] = number
                assert label_of_list() == label_of_show() == str(number)
        finally:
            done.set()
        for reader in readers:
            reader.result()


def test_what_the_executor_changes_is_seen_by_who_asked_before(served: Machine) -> None:
    go = served.project / "go"
    served.script("gated.py", f"import os, time\nx = 1\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n")
    run = served.json("run", "-d", "gated.py")["run"]
    with Client(served.env, start=False) as client:
        served_until(client, run["id"], "running")
        go.touch()
        served_until(client, run["id"], "completed")


def served_until(client: Client, run: str, status: str) -> None:
    """Ask as fast as can be, until a run has ``status``; the time limit of tests ends it."""
    while client.call("show", run=run)["run"]["status"] != status:
        pass
