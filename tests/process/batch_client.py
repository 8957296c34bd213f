"""Asks a machine's daemon for batches over the wire, as any client may."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runctl.client import Client

from tests.process.conftest import DEADLINE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.process.conftest import Machine

Answer = dict[str, Any]

ECHO = "x = 1.0\ny = 2\nz = 'a'\nprint(x, y, z)\n"
# Writes down that it runs, and with which flags, before it ends.
NOTED = (
    "import os\nx = 1\ny = 1\nwith open(os.environ['RUND_HOME'] + '/../ran', 'a') as f:\n    f.write(f'{x} {y}\\n')\n"
)
# Runs until the file `go` is in the folder above the home.
GATED = (
    "import os, time\nx = 1\ny = 1\nabove = os.environ['RUND_HOME'] + '/..'\nopen('pid', 'w').write(str(os.getpid()))\n"
    "with open(above + '/ran', 'a') as f:\n    f.write(f'{x} {y}\\n')\n"
    "while not os.path.exists(above + '/go'):\n    time.sleep(0.01)\n"
)


class BatchClient:
    """A client of the daemon of ``machine``, whose scripts lie in its project."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.folder
        self._client = Client(machine.env, start=False)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, **params: object) -> Any:
        return self._client.call(method, **params)

    def script(self, name: str, text: str) -> Path:
        return self.machine.script(name, text)

    def run(self, operation: str, *args: str, **params: object) -> Answer:
        """The answer of `run`, at once."""
        given: Answer = {"env": self.machine.env, "cwd": str(self.machine.project)} | params
        answer: Answer = self.call("run", operation=operation, args=list(args), **given)
        return answer

    def restart(self, run: str, *args: str, **params: object) -> Answer:
        """The answer of `restart`, at once."""
        answer: Answer = self.call("restart", run=run, args=list(args), **params)
        return answer

    def done(self, answer: Answer) -> Answer:
        """The answer itself, after nothing of its run is running or pending any more."""
        self.wait(answer["run"]["id"])
        return answer

    def wait(self, *runs: str) -> None:
        assert self.call("wait", runs=list(runs), timeout=DEADLINE)["done"], "runs still run or wait"

    def until(self, run: str, status: str) -> Answer:
        """The run, when its status is ``status``."""
        wait_until(lambda: self.attrs(run)["status"] == status)
        return self.attrs(run)

    def attrs(self, run: str) -> Answer:
        found: Answer = self.call("show", run=run)["run"]
        return found

    def trials(self, batch: str) -> list[Answer]:
        found: list[Answer] = self.call("list", batch=batch, limit=10_000)["runs"]
        return found

    def ids(self, batch: str) -> list[str]:
        return [trial["id"] for trial in self.trials(batch)]

    def values(self, batch: str, *names: str) -> list[tuple[Any, ...]]:
        """What the trials have for these flags, in order."""
        return [tuple(trial["flags"][name] for name in names) for trial in self.trials(batch)]

    def statuses(self, batch: str) -> list[str]:
        return [trial["status"] for trial in self.trials(batch)]

    def attempts(self, batch: str) -> list[int]:
        return [trial["attempts"] for trial in self.trials(batch)]

    def ran(self) -> list[str]:
        """The lines that scripts such as `NOTED` wrote, in the order in which they ran."""
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []

    def go(self) -> None:
        """Let scripts such as `GATED` end."""
        (self.folder / "go").touch()

    def events(self, after: int) -> list[Answer]:
        found: list[Answer] = self.call("events", after=after)["events"]
        return found

    def last_event(self) -> int:
        return int(self.call("events")["last"])


def plan(**lists: list[Any]) -> dict[str, list[Any]]:
    """A plan in which nothing happens but what is given."""
    names = ("created", "restarted", "skipped", "kept", "taken_back", "orphaned", "deleted")
    return {name: lists.get(name, []) for name in names}


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many of these (start, end) overlapped at most."""
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    return max(itertools.accumulate(change for _, change in changes))


def raised(call: Callable[[], object]) -> str:
    """``CODE: message`` of the error that ``call`` raises."""
    from rund.errors import RundError

    try:
        answer = call()
    except RundError as error:
        return f"{error.code}: {error.message}"
    raise AssertionError(f"nothing was raised, but answered: {answer}")
