"""Drives a scenario through daemons that are killed: what was acknowledged is not asked again, what was not is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.faults.kill_world import PATIENCE, Answer, Daemon, DaemonGoneError, Kill, Wire, World

Scenario = Callable[["Drive"], None]


class Drive:
    """One scenario's way through a world.  The scenario is begun again after each kill, and goes on where it was.

    Each change has a name of its own, which is its request id: asked again without an answer having come, it must have
    been carried out once or not at all.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.acknowledged: dict[str, tuple[str, dict[str, Any], Answer]] = {}
        self.daemons: list[Daemon] = []
        self._ended = 0  # waits for ends that were answered
        self._left = False  # a daemon has said that it ends, and its runs with it
        self._asked = 0  # and that the scenario has asked for since it was begun again
        self._wire: Wire | None = None

    def through(self, scenario: Scenario, kills: Iterable[Kill] = (), *, watched: bool = False) -> Daemon:
        """Carry ``scenario`` through, with one daemon killed after the other and a last one that is not; answers that.

        With ``watched`` also the changes of the last one are written down.
        """
        for kill in [*kills, None]:
            daemon = self.begin(kill, watched=watched and kill is None)
            self._asked = 0
            try:
                self._connect()
                scenario(self)
            except DaemonGoneError:
                assert daemon.gone(PATIENCE)
                assert kill is not None, f"a daemon ended by itself:\n{self.world.log.read_text()}"
                self.world.lose_patience()
                continue
            if kill is None:
                return self.daemons[-1]
            self.hang_up()  # it has lived longer than was thought
            self.daemons[-1].stop()
        raise AssertionError

    def begin(self, kill: Kill | None = None, *, watched: bool = False) -> Daemon:
        """Start the next daemon."""
        self.hang_up()
        daemon = self.world.start(kill, watched=watched)
        self.daemons.append(daemon)
        return daemon

    def change(self, name: str, method: str, **params: object) -> Answer:
        """The answer to a change, the same for ever once it has come."""
        if name not in self.acknowledged:
            self.acknowledged[name] = (method, params, self.ask(method, request_id=name, **params))
        return self.acknowledged[name][2]

    def ask(self, method: str, **params: object) -> Answer:
        """The answer to a question."""
        if self._wire is None:
            self._connect()
        assert self._wire is not None
        return self._wire.call(method, **params)

    def run(self, name: str, *args: str, **params: object) -> Answer:
        """Make runs of the trial script."""
        world = self.world
        given: dict[str, Any] = {"operation": "./trial.sh", "args": list(args), "force_flags": True, "random_seed": 1}
        return self.change(name, "run", **given, cwd=str(world.project), env={"PATH": "/usr/bin:/bin"}, **params)

    def settled(self, *runs: str) -> None:
        """Wait until these runs are neither running nor pending; an end that was told is not waited for again."""
        self._asked += 1
        if self._asked > self._ended:
            assert self.ask("wait", runs=list(runs), timeout=self.world.patience)["done"], f"{runs} do not end"
            self._ended = self._asked

    def leave(self) -> None:
        """Have the daemon end with its runs, once, and go on with the next one."""
        if self._left:
            return
        leaving = self.daemons[-1]
        self.ask("shutdown", with_runs=True)
        self._left = True
        assert leaving.gone(self.world.patience), "a daemon that has said that it ends does not"
        self.begin()
        self._connect()

    def until_ran(self, run: str) -> None:
        """Wait until an attempt of ``run`` has written that it runs."""
        self.until(lambda: any(times and token.startswith(run) for token, times in self.world.ran().items()))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; raises `DaemonGoneError` if the daemon is gone before."""
        deadline = time.monotonic() + self.world.patience
        while not condition():
            if self.daemons[-1].gone(0.01):
                raise DaemonGoneError
            assert time.monotonic() < deadline, "it did not come to pass"

    def killed(self) -> int:
        """How many daemons were killed at a change."""
        return sum(daemon.was_killed() for daemon in self.daemons)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _connect(self) -> None:
        self.hang_up()
        self._wire = self.world.connect(self.daemons[-1])


def ids(answer: Answer) -> Sequence[str]:
    """The ids of the runs that can run: those of a batch's trials, or of a single run."""
    trials: list[str] | None = answer["trials"]
    return [answer["run"]["id"]] if trials is None else trials
