"""A daemon and a model of it, told the same, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

from runctl.client import Client

from rund.errors import RundError
from tests.process.batch_model import (
    Draws,
    Flags,
    Model,
    ModelBatch,
    ModelRun,
    Plan,
    RefusedError,
    Values,
)
from tests.process.conftest import DEADLINE, Machine, wait_until

SLOTS = 2
SCRIPT = """\
import os, sys, time
x = 1
y = 1
while os.path.exists(os.environ["RUND_PROJECT_DIR"] + "/hold"):
    time.sleep(0.01)
sys.exit(3 if y == 3 else 0)
"""


class Options(TypedDict, total=False):
    """Options of a batch."""

    random_seed: int
    max_trials: int | str
    jobs: int | str
    optimizer: str
    needed: bool
    stage: bool


class SideBySide:
    """Each method tells both, and checks what the daemon answers."""

    compared: ClassVar[int] = 0

    def __init__(self, machine: Machine) -> None:
        self.model = Model(slots=SLOTS)
        self._machine = machine
        self._client = Client(machine.env, start=False)
        self._draws = Draws()
        self._gate = machine.project / "hold"

    # What users do

    def make_batch(self, xs: Values, ys: Values, options: Options) -> ModelBatch:
        """Make a batch."""
        batch = ModelBatch(
            id="",
            xs=xs,
            ys=ys,
            seed=options["random_seed"],
            optimizer=options.get("optimizer", "grid"),
            max_trials=_bound(options.get("max_trials")),
        )
        generated = self._generated(batch)
        reply = self._run(_lists(xs, ys), **options)
        batch.id = reply["run"]["id"]
        self.model.batches.append(batch)
        stage = options.get("stage", False)
        self._carry_out(batch, self.model.plan(batch, generated, needed=False, stage=stage), reply, stage=stage)
        return batch

    def make_run(self, flags: Flags, *, stage: bool) -> ModelRun:
        """Make a single run."""
        reply = self._run([f"x={flags[0]}", f"y={flags[1]}"], stage=stage, random_seed=0)
        return self.model.run_single(reply["run"]["id"], flags, 0, stage=stage)

    def restart_batch(self, batch: ModelBatch, xs: Values | None, ys: Values | None, options: Options) -> None:
        """Restart a batch; None: its values stay."""
        if batch.deleted or (batch.optimizer == "random" and options.get("max_trials") == "all"):
            return
        before = (batch.xs, batch.ys, batch.seed, batch.max_trials, batch.jobs)
        batch.xs, batch.ys = xs or batch.xs, ys or batch.ys
        batch.seed = options.get("random_seed", batch.seed)
        batch.max_trials = _bound(options.get("max_trials", batch.max_trials))
        batch.jobs = _bound(options.get("jobs", batch.jobs))
        needed, stage = options.get("needed", False), options.get("stage", False)
        asked = {"run": batch.id, "args": _lists(xs, ys), **options}
        try:
            plan = self.model.plan(batch, self._generated(batch), needed=needed, stage=stage)
        except RefusedError as refused:
            batch.xs, batch.ys, batch.seed, batch.max_trials, batch.jobs = before
            self._refused(refused, "restart", asked)
            return
        self._carry_out(batch, plan, self._client.call("restart", **asked), stage=stage)

    def restart_single(self, run: ModelRun, x: str | None, y: str | None, *, needed: bool) -> None:
        """Restart a run or a trial by itself; None: its value stays."""
        if not self._there(run):
            return
        flags = (x or run.flags[0], y or run.flags[1])
        args = [f"{name}={value}" for name, value in (("x", x), ("y", y)) if value]
        self._both(
            "restart",
            lambda: self.model.restart_single(run, flags, needed=needed),
            run=run.id,
            args=args,
            needed=needed,
        )

    def start(self, named: ModelRun | ModelBatch) -> None:
        """Start what is staged."""
        if self._there(named):
            self._both("start", lambda: self.model.start(named), runs=[named.id])

    def stop(self, named: ModelRun | ModelBatch) -> None:
        """Stop a run or a batch."""
        if self._there(named):
            self._both("stop", lambda: self.model.stop(named), runs=[named.id])

    def delete(
        self, runs: Sequence[ModelRun], batches: Sequence[ModelBatch] = (), *, with_trials: bool = False
    ) -> None:
        """Delete runs and batches."""
        if all(map(self._there, runs)) and all(map(self._there, batches)):
            ids = [*(run.id for run in runs), *(batch.id for batch in batches)]
            self._both(
                "delete",
                lambda: self.model.delete(runs, batches, with_trials=with_trials),
                runs=ids,
                with_trials=with_trials,
            )

    def restore(self, named: ModelRun | ModelBatch) -> None:
        """Restore what was deleted."""
        if named.deleted:
            self._client.call("restore", runs=[named.id])
            named.deleted = False

    def pause(self, batch: ModelBatch | None, *, paused: bool) -> None:
        """Pause a batch, or everything; or resume it."""
        if batch is None:
            self.model.paused = paused
            for each in self.model.batches:
                each.paused = each.paused and paused
        elif batch.deleted:
            return
        else:
            batch.paused = paused
        self._client.call("pause" if paused else "resume", batch=None if batch is None else batch.id)

    def hold(self, *, held: bool) -> None:
        """Make what runs wait, or let it end."""
        self.model.held = held
        if held:
            self._gate.touch()
        else:
            self._gate.unlink(missing_ok=True)

    def let_go_when_stopped(self) -> None:
        """Let what runs end, after the end of what is being stopped.

        What is queued again while it dies comes behind others, or not: nobody can tell which of them run now.
        """
        wait_until(lambda: all(run["reason"] != "stopping" for run in self._client.call("list", limit=1000)["runs"]))
        self.hold(held=False)

    def come_back(self, *, crash: bool) -> None:
        """If it is to ``crash``, the daemon is killed and started again."""
        if crash:
            self._machine.kill()
            self._machine.start(RUND_SLOTS=str(SLOTS))

    # Comparing

    def compare(self) -> None:
        """Wait until both come to the same; fails with the difference."""
        type(self).compared += 1
        self.model.settle()
        expected = self._expected()
        try:
            wait_until(lambda: self._seen() == expected)
        except AssertionError:
            seen = self._seen()
            different = {each for each in expected.keys() | seen.keys() if expected.get(each) != seen.get(each)}
            lines = [f"{each[:8]}: {seen.get(each)}, not {expected.get(each)}" for each in sorted(different)]
            raise AssertionError("the daemon comes to something else:\n" + "\n".join(lines)) from None
        for run in self.model.runs:
            if not run.deleted:
                attempts = self._client.call("show", run=run.id)["attempts"]
                told = [(_texts(each["flags"]), each["random_seed"], each["status"]) for each in attempts]
                assert told == [(each.flags, each.seed, each.status) for each in run.attempts], run.id

    def _expected(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for run in self.model.runs:
            paused = self.model.paused or (run.batch is not None and run.batch.paused)
            found[run.id] = {
                "flags": run.flags,
                "status": run.status,
                "paused": run.status == "pending" and paused,
                "seed": run.seed,
                "attempts": len(run.attempts),
                "batch": None if run.batch is None else run.batch.id,
                "made_by": None if run.made_by is None else run.made_by.id,
                "deleted": run.deleted,
            }
        for batch in self.model.batches:
            found[batch.id] = {
                "status": batch.status,
                "counts": dict(Counter(trial.status for trial in batch.trials)),
                "trials": [trial.id for trial in batch.trials],
                "generation": batch.generation,
                "max_trials": batch.max_trials,
                "deleted": batch.deleted,
            }
        return found

    def _seen(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for deleted in (False, True):
            for run in self._client.call("list", trash=deleted, limit=1000)["runs"]:
                found[run["id"]] = (
                    self._batch(run, deleted=deleted) if "generation" in run else _run(run, deleted=deleted)
                )
        return found

    def _batch(self, run: dict[str, Any], *, deleted: bool) -> dict[str, Any]:
        trials: list[dict[str, Any]] = []
        if not deleted:
            reply = self._client.call("list", batch=run["id"], limit=1000)
            trials = reply["runs"]
            assert reply["generation"] >= run["generation"]
        return {
            "status": run["status"],
            "counts": {status: number for status, number in run["counts"].items() if number},
            "trials": [trial["id"] for trial in trials],
            "generation": run["generation"],
            "max_trials": run["max_trials"],
            "deleted": deleted,
        }

    def clear(self) -> None:
        """Leave nothing to the next ones."""
        self.hold(held=False)
        self._client.call("resume")
        live = [run["id"] for run in self._client.call("list", limit=1000, status=["running", "pending"])["runs"]]
        assert self._client.call("wait", runs=live, timeout=DEADLINE)["done"]
        for run in self._client.call("list", limit=1000)["runs"]:
            self._client.call("delete", runs=[run["id"]]) if _is_there(self._client, run["id"]) else None
        self._client.call("purge")
        assert self._client.call("list", trash=True)["total"] == self._client.call("list")["total"] == 0
        self._client.close()

    # Asking

    def _both(self, method: str, model: Any, **asked: Any) -> None:
        try:
            model()
        except RefusedError as refused:
            self._refused(refused, method, asked)
            return
        self._client.call(method, **asked)

    def _refused(self, refused: RefusedError, method: str, asked: dict[str, Any]) -> None:
        try:
            reply = self._client.call(method, **asked)
        except RundError as error:
            assert error.code in refused.codes, error.message
        else:
            raise AssertionError(f"{method} {asked} is to be refused, and was answered {reply}")

    def _run(self, args: list[str], **options: Any) -> Any:
        folder = str(self._machine.project)
        env = {"PATH": self._machine.env["PATH"]}
        return self._client.call("run", operation="held.py", args=args, cwd=folder, env=env, **options)

    def _generated(self, batch: ModelBatch) -> list[Flags]:
        return self._draws.generated(batch, lambda: self._drawn(batch))

    def _drawn(self, batch: ModelBatch) -> list[Flags]:
        """What a new batch would be made of."""
        options = {"random_seed": batch.seed, "max_trials": batch.max_trials, "optimizer": batch.optimizer}
        reply = self._run(_lists(batch.xs, batch.ys), dry_run=True, **options)
        return [_texts(flags) for flags in reply["plan"]["created"]]

    def _carry_out(self, batch: ModelBatch, plan: Plan, reply: dict[str, Any], *, stage: bool) -> None:
        told = reply["plan"]
        for name in ("restarted", "skipped", "kept", "taken_back", "orphaned", "deleted"):
            assert sorted(told[name]) == sorted(run.id for run in getattr(plan, name)), name
        assert len(told["created"]) == sum(not isinstance(each, ModelRun) for each in plan.listed)
        self.model.carry_out(batch, plan, told["created"], stage=stage)
        assert reply["trials"] == [trial.id for trial in batch.trials]
        assert reply["generation"] == batch.generation

    def _there(self, named: ModelRun | ModelBatch) -> bool:
        """Whether it can be named: it is not in the trash, nor gone for good."""
        return not named.deleted and (named in self.model.runs or named in self.model.batches)


def _run(run: dict[str, Any], *, deleted: bool) -> dict[str, Any]:
    return {
        "flags": _texts(run["flags"]),
        "status": run["status"],
        "paused": run["reason"] == "paused",
        "seed": run["random_seed"],
        "attempts": run["attempts"],
        "batch": run["batch"],
        "made_by": run["made_by"],
        "deleted": deleted,
    }


def _is_there(client: Client, run_id: str) -> bool:
    try:
        client.call("show", run=run_id)
    except RundError:
        return False
    return True


def _lists(xs: Values | None, ys: Values | None) -> list[str]:
    return [f"{name}=[{','.join(values)}]" for name, values in (("x", xs), ("y", ys)) if values]


def _texts(flags: dict[str, object]) -> Flags:
    return repr(flags["x"]), repr(flags["y"])


def _bound(given: int | str | None) -> int | None:
    """A bound as given; "all" lifts it."""
    return given if isinstance(given, int) else None
