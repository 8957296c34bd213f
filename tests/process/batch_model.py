"""What runs and batches come to, as the specification has it: sections 2 and 4 to 7, without I/O.

The model is told what a user does and says what follows once nothing happens any more.  A run of the script that it
means waits as long as it is `held`, then completes, or ends in error where its ``y`` is 3.  What a model cannot know, it
is told: the ids of what is made, and the draws of a sample; it remembers them, for the same seed gives the same trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

Flags = tuple[str, str]  # the texts of x and y: 1 and 1.0 are two values
Values = tuple[str, ...]

LIVE = ("pending", "running")


class RefusedError(Exception):
    """The daemon is to refuse it, with one of ``codes``, and to change nothing."""

    def __init__(self, *codes: str) -> None:
        super().__init__(*codes)
        self.codes = codes


@dataclass(kw_only=True)
class Attempt:
    """One start of a run."""

    flags: Flags
    seed: int
    status: str


@dataclass(kw_only=True, eq=False)
class ModelRun:
    """A run or a trial."""

    id: str
    flags: Flags
    seed: int
    status: str = "staged"
    attempts: list[Attempt] = field(default_factory=list)
    made_by: ModelBatch | None = None
    batch: ModelBatch | None = None  # that lists it
    deleted: bool = False
    place: int = 0  # in the queue
    stopping: bool = False

    @property
    def live(self) -> bool:
        """What is being stopped counts as ended."""
        return self.status in LIVE and not self.stopping


@dataclass(kw_only=True, eq=False)
class ModelBatch:
    """A batch: ``xs`` and ``ys`` are the values of its grid, or of its random search."""

    id: str
    xs: Values
    ys: Values
    seed: int
    optimizer: str
    max_trials: int | None
    jobs: int | None = None
    trials: list[ModelRun] = field(default_factory=list)
    generation: int = 0
    stopped: bool = False
    paused: bool = False
    deleted: bool = False

    @property
    def status(self) -> str:
        have = {trial.status for trial in self.trials}
        if have & {"running", "pending"}:
            return "running"
        if self.stopped and have - {"completed"}:
            return "terminated"
        if "staged" in have:
            return "staged"
        return "error" if have & {"error", "terminated"} else "completed"


@dataclass(kw_only=True)
class Plan:
    """What a restart does with each run; trials that are made have no id yet, and are told by their flags."""

    listed: list[ModelRun | Flags] = field(default_factory=list)
    restarted: list[ModelRun] = field(default_factory=list)
    skipped: list[ModelRun] = field(default_factory=list)
    kept: list[ModelRun] = field(default_factory=list)
    taken_back: list[ModelRun] = field(default_factory=list)
    orphaned: list[ModelRun] = field(default_factory=list)
    deleted: list[ModelRun] = field(default_factory=list)


class Model:
    """Everything, and what users do with it."""

    def __init__(self, *, slots: int) -> None:
        self.runs: list[ModelRun] = []  # in the order of their making
        self.batches: list[ModelBatch] = []
        self.held = False
        self.paused = False
        self._slots = slots
        self._place = 0

    # What users do

    def run_single(self, run_id: str, flags: Flags, seed: int, *, stage: bool) -> ModelRun:
        run = ModelRun(id=run_id, flags=flags, seed=seed)
        self.runs.append(run)
        if not stage:
            self._queue(run)
        return run

    def plan(self, batch: ModelBatch, generated: Sequence[Flags], *, needed: bool, stage: bool) -> Plan:
        """Steps 3 to 7.  Raises `RefusedError`."""
        plan = Plan()
        orphans = [run for run in self.runs if run.made_by is batch and run.batch is None and not run.deleted]
        free = [*_completed_first(batch.trials), *_completed_first(orphans)]
        for flags in generated:
            match = next((run for run in free if run.flags == flags), None)
            if match is None:
                plan.listed.append(flags)
                continue
            free.remove(match)
            plan.listed.append(match)
            if match in orphans:
                plan.taken_back.append(match)
            if stage or match.live:
                plan.kept.append(match)
            elif needed and match.status == "completed":
                plan.skipped.append(match)
            else:
                plan.restarted.append(match)
        if not needed and any(run.live for run in [*batch.trials, *plan.taken_back]):
            raise RefusedError("busy")
        for run in batch.trials:
            if run in free:
                (plan.orphaned if run.attempts else plan.deleted).append(run)
        return plan

    def carry_out(self, batch: ModelBatch, plan: Plan, made: Iterable[str], *, stage: bool) -> None:
        """Do what ``plan`` says; ``made`` are the ids of the trials that it makes, in order."""
        ids = iter(made)
        for run in plan.deleted:
            self.runs.remove(run)
        for run in plan.orphaned:
            run.batch = None
            if run.status == "pending":
                self._withdraw(run)
        batch.trials = []
        for each in plan.listed:
            trial = each
            if not isinstance(trial, ModelRun):
                trial = ModelRun(id=next(ids), flags=trial, seed=batch.seed, made_by=batch)
                self.runs.append(trial)
            batch.trials.append(trial)
            trial.batch = batch
            if trial.status in ("staged", "pending"):
                trial.seed = batch.seed  # it is still to be run, and trials that are run take the present seed
            if trial.status != "pending" and (trial in plan.restarted or (each is not trial and not stage)):
                trial.seed = batch.seed
                self._queue(trial)
        batch.generation += 1
        batch.stopped = False

    def restart_single(self, run: ModelRun, flags: Flags, *, needed: bool) -> None:
        same = flags == run.flags
        if run.live:
            if needed and same:
                return
            raise RefusedError("busy")
        if run.status == "completed" and needed and same:
            return
        run.flags = flags
        if not same:
            self._leave([run])
        self._queue(run)

    def start(self, named: ModelRun | ModelBatch) -> None:
        if isinstance(named, ModelBatch):
            staged = [trial for trial in named.trials if trial.status == "staged"]
            named.stopped = named.stopped and not staged
        else:
            staged = [named] if named.status == "staged" else []
        if not staged:
            raise RefusedError("invalid", "busy")
        for run in staged:
            self._queue(run)

    def stop(self, named: ModelRun | ModelBatch) -> None:
        if isinstance(named, ModelBatch):
            named.stopped = True
        for run in list(named.trials) if isinstance(named, ModelBatch) else [named]:
            if run.status == "pending":
                self._withdraw(run)
            elif run.status == "running":
                run.stopping = True

    def delete(
        self, runs: Sequence[ModelRun], batches: Sequence[ModelBatch] = (), *, with_trials: bool = False
    ) -> None:
        also = [trial for batch in batches for trial in batch.trials if with_trials]
        if any(run.live for run in [*runs, *also]) or any(batch.status == "running" for batch in batches):
            raise RefusedError("busy")
        for batch in batches:
            unstarted = [run for run in batch.trials if not run.attempts and run not in also and run not in runs]
            self._leave(batch.trials)
            for run in unstarted:
                self.runs.remove(run)
            batch.deleted = True
        self._leave(runs)
        for run in [*runs, *also]:
            run.deleted = True

    # What follows

    def settle(self) -> None:
        """Let everything happen that happens by itself."""
        self.end_stopped()
        while self._ended() or self._started():
            pass

    def end_stopped(self) -> None:
        """Let what is being stopped end, before anything else is started."""
        for run in self.runs:
            if run.stopping:
                run.status = run.attempts[-1].status = "terminated"
                run.stopping = False

    def _ended(self) -> bool:
        over = [run for run in self.runs if run.status == "running" and not self.held]
        for run in over:
            run.status = run.attempts[-1].status = "error" if run.flags[1] == "3" else "completed"
        return bool(over)

    def _started(self) -> bool:
        waiting = sorted((run for run in self.runs if run.status == "pending"), key=lambda run: run.place)
        run = next(filter(self._may_start, waiting), None)
        if run is not None:
            run.status = "running"
            run.attempts.append(Attempt(flags=run.flags, seed=run.seed, status="running"))
        return run is not None

    def _may_start(self, run: ModelRun) -> bool:
        running = [other for other in self.runs if other.status == "running"]
        if self.paused or len(running) >= self._slots:
            return False
        batch = run.batch
        if batch is None:
            return True
        beside = sum(other.batch is batch for other in running)
        return not batch.paused and (batch.jobs is None or beside < batch.jobs)

    def _queue(self, run: ModelRun) -> None:
        self._place += 1
        run.status, run.place = "pending", self._place

    def _withdraw(self, run: ModelRun) -> None:
        """Undo the restart of a pending run whole: it shows what its last attempt was."""
        if not run.attempts:
            run.status = "staged"
            return
        last = run.attempts[-1]
        if run.flags != last.flags:
            self._leave([run])  # what a batch lists has the flags generated for its place
        run.flags, run.seed, run.status = last.flags, last.seed, last.status

    def _leave(self, runs: Iterable[ModelRun]) -> None:
        """Runs leave the lists of their batches, each of which goes up by one generation."""
        leaving = list(runs)
        for batch in {run.batch for run in leaving if run.batch is not None}:
            batch.trials = [trial for trial in batch.trials if trial not in leaving]
            batch.generation += 1
        for run in leaving:
            run.batch = None


def _completed_first(runs: Iterable[ModelRun]) -> list[ModelRun]:
    return sorted(runs, key=lambda run: run.status != "completed")


class Draws:
    """The trials that seeds give: told once, and the same ever after."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], list[Flags]] = {}

    def generated(self, batch: ModelBatch, ask: Callable[[], list[Flags]]) -> list[Flags]:
        """The flags of the trials of ``batch``; a sample is what ``ask`` says when it is met first."""
        grid = list(product(batch.xs, batch.ys))
        number = batch.max_trials
        if batch.optimizer == "grid" and (number is None or number >= len(grid)):
            return grid
        key = (batch.xs, batch.ys, batch.seed, batch.optimizer, number)
        if key not in self._known:
            drawn = self._known[key] = ask()
            assert len(drawn) == (20 if number is None else number)
            assert set(drawn) <= set(grid)
            if batch.optimizer == "grid":
                rest = iter(grid)
                assert all(flags in rest for flags in drawn), "a sample of a grid stands in grid order"
        return self._known[key]
