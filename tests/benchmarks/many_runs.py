"""A store of many runs, written by the changes that the daemon itself writes with, in the shapes of real work.

Every thousand is alike, and about four hours of work: a sweep of 499 trials, four of 49, ten of 9, and 200 single runs;
nine in ten of the runs are completed, and among the others is each status that needs no daemon.  A store of 200,000
or more begins with a batch of 100,000 besides.  Of the events of the runs the last week's are left, as the daemon
leaves them.  The folders of runs are not made: no list, no show and no start looks at them.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rund.clock import now
from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.model.batch import Batch, Prototype
from rund.model.event import EventKind
from rund.model.operation import FlagDef, FlagType, Operation, OperationKind
from rund.model.run import Attempt, Run, Setup, Spec, Usage
from rund.model.space import Choices, Space
from rund.model.status import Status
from rund.model.values import Flags
from rund.operations.stored import operation_to_json
from rund.store.codec import dump
from rund.store.directories import Directories
from rund.store.store import prepare
from rund.store.transaction import Transaction

BLOCK = 1000
LARGE, FROM = 100_000, 200_000  # runs of the large batch, itself among them; and of the stores that have one
_SWEEPS = (499, *[49] * 4, *[9] * 10)  # trials
_APART = 15.0  # seconds from one run to the next
_LABELS = ("baseline", "ablation", "final", "to check")
_STATUSES = (Status.COMPLETED,) * 90 + (Status.ERROR,) * 6 + (Status.TERMINATED,) * 4


def make_store(home: Path, runs: int) -> None:
    """Make a home whose store holds so many runs, a multiple of 1,000, of which the last has just ended."""
    directories = Directories(home)
    prepare(directories)
    with closing(sqlite3.connect(directories.database, isolation_level=None)) as connection:
        # The same pages, sooner: with the log each would be written many times.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        connection.execute("BEGIN")
        _Maker(Transaction(connection), begun=now() - runs * _APART).make(runs)
        connection.execute("COMMIT")


class _Maker:
    """Adds runs, each later than the one before; the same ones whenever it begins."""

    def __init__(self, transaction: Transaction, *, begun: float) -> None:
        self._transaction = transaction
        self._random = random.Random(5)
        self._time = begun
        self._operations = {each.name: transaction.add_operation(operation_to_json(each)) for each in _OPERATIONS}
        self._environments = [transaction.add_environment(dump(_environment(shell))) for shell in range(5)]

    def make(self, runs: int) -> None:
        if runs >= FROM:
            self._batch(LARGE - 1)
            runs -= LARGE
        for _ in range(runs // BLOCK):
            self._block()

    def _block(self) -> None:
        singles = BLOCK - sum(_SWEEPS) - len(_SWEEPS)
        for number, trials in enumerate(_SWEEPS):
            self._batch(trials, staged=number == 1, freed=9 if number == 2 else 0)
            each = singles // len(_SWEEPS) + (number < singles % len(_SWEEPS))
            for _ in range(each):
                self._single()

    def _batch(self, trials: int, *, staged: bool = False, freed: int = 0) -> None:
        """A batch with its trials; ``freed``: the last of them are its orphans, of a restart with fewer values."""
        operation = self._random.choice(_OPERATIONS)
        rates = tuple(round(self._random.uniform(1e-5, 1e-1), 6) for _ in range(max(1, trials // 10)))
        space = Space(fixed={"epochs": 10, "name": "a"}, varying={"lr": Choices(values=rates), "layers": _LAYERS})
        setup = self._setup(operation)
        batch = Run(
            id=self._id(),
            operation=f"{operation.name}+",
            spec=Spec(setup=setup, flags={**space.fixed, "lr": list(rates), "layers": list(_LAYERS.values)}),
            status=Status.COMPLETED,
            label=self._label(2),
            created=self._time,
            generation=0,
        )
        change = self._transaction
        change.add_run(batch)
        change.save_batch(batch.id, Batch(prototype=Prototype(space=space)))
        begun = self._time
        made: list[str] = []
        for position in range(trials):
            flags: Flags = {**space.fixed, "lr": rates[position % len(rates)], "layers": position % 10}
            first = Run(
                id=self._id(),
                operation=operation.name,
                spec=Spec(setup=setup, flags=flags),
                status=Status.STAGED,
                created=begun,
                made_by=batch.id,
                batch=batch.id,
                position=position,
            )
            if position >= trials - freed:
                first = replace(first, batch=None, position=None)
            made.append(first.id)
            self._add(first, started=not staged)
        published, _ = change.publish(batch, begun)
        change.add_event(EventKind.CREATED, begun, made, status=Status.STAGED, batch=batch.id, generation=1)
        change.add_event(EventKind.TRIALS, begun, [batch.id], batch=batch.id, generation=1)
        if not staged:
            change.save_run(replace(published, started=begun, stopped=self._time))
        change.settle(self._time)

    def _single(self) -> None:
        operation = self._random.choice(_OPERATIONS)
        flags: Flags = {"epochs": 10, "name": "a", "lr": round(self._random.uniform(1e-5, 1e-1), 6), "layers": 3}
        run = Run(
            id=self._id(),
            operation=operation.name,
            spec=Spec(setup=self._setup(operation), flags=flags),
            status=Status.STAGED,
            label=self._label(3),
            tags=("paper",) if self._random.random() < 0.02 else (),
            created=self._time,
        )
        self._add(run, started=self._random.random() < 0.95)
        if self._random.random() < 0.05:
            self._transaction.trash_runs([run.id], self._time)
            self._transaction.add_event(EventKind.DELETED, self._time, [run.id])

    def _add(self, run: Run, *, started: bool) -> None:
        """Add a run as it is after its attempts: of one in twenty there are two."""
        change = self._transaction
        self._time += _APART
        if not started:
            change.add_run(run)
            return
        attempts: list[Attempt] = []
        for _ in range(1 + (self._random.random() < 0.05)):
            run = lifecycle.queue(run, run.spec, now=self._time - 1, place=change.next_place())
            command = ("/usr/bin/python3", f"/home/someone/project/{run.operation}", "--lr", str(run.spec.flags["lr"]))
            run, attempt = lifecycle.start(
                run, now=self._time, command=command, host="host", user="someone", boot_id="boot"
            )
            change.add_event(EventKind.STARTED, self._time, [run.id], status=Status.RUNNING, batch=run.batch)
            how = self._end()
            run, attempt = lifecycle.end(run, attempt, how, now=how.stopped, place=0)
            change.add_event(
                EventKind.ENDED, how.stopped, [run.id], status=how.status, reason=how.reason, batch=run.batch
            )
            attempts.append(attempt)
        change.add_run(run)
        for attempt in attempts:
            change.save_attempt(run.id, attempt)

    def _end(self) -> End:
        status = self._random.choice(_STATUSES)
        usage = Usage(max_rss=300_000_000, user_time=self._random.random() * 50, system_time=0.5)
        stopped = self._time + self._random.uniform(1, _APART)
        match status:
            case Status.ERROR:
                return End(status=status, reason="exit 1", exit_status=1, stopped=stopped, usage=usage)
            case Status.TERMINATED:
                return End(status=status, reason=lifecycle.STOPPED, signal=15, stopped=stopped, usage=usage)
            case _:
                scalars = {"loss": self._random.random(), "accuracy": self._random.random()}
                return End(status=status, reason=None, exit_status=0, stopped=stopped, usage=usage, scalars=scalars)

    def _setup(self, operation: Operation) -> Setup:
        return Setup(
            operation=self._operations[operation.name],
            source=None,
            environment=self._random.choice(self._environments),
            given=frozenset({"lr", "layers"}),
            random_seed=self._random.getrandbits(32),
        )

    def _label(self, one_in: int) -> str | None:
        return self._random.choice(_LABELS) if self._random.randrange(one_in) == 0 else None

    def _id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"


def sample(store: Path, where: str, count: int) -> list[str]:
    """The ids of so many runs of a store for which the SQL condition ``where`` holds, from all its ages alike."""
    with closing(sqlite3.connect(store)) as connection:
        ids = [row[0] for row in connection.execute(f"SELECT id FROM runs WHERE {where} ORDER BY key")]
    return list(_spread(ids, count))


def _spread(ids: Sequence[str], count: int) -> Iterator[str]:
    for number in range(min(count, len(ids))):
        yield ids[number * len(ids) // min(count, len(ids))]


def _operation(name: str) -> Operation:
    types = {"lr": FlagType.FLOAT, "layers": FlagType.INT, "epochs": FlagType.INT, "name": FlagType.STR}
    return Operation(
        name=name,
        kind=OperationKind.PYTHON,
        entry=name,
        flags=tuple(FlagDef(name=flag, type=kind, declared=True, option=f"--{flag}") for flag, kind in types.items()),
        project_dir="/home/someone/project",
        cwd="/home/someone/project",
        target=f"/home/someone/project/{name}",
    )


def _environment(shell: int) -> dict[str, str]:
    """Some 3 KB, as shells have them."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "SHELL_NUMBER": str(shell)} | {
        f"VARIABLE_{number}": "x" * 50 for number in range(40)
    }


_LAYERS = Choices(values=tuple(range(10)))
_OPERATIONS = tuple(_operation(name) for name in ("train.py", "tune.py", "evaluate.py"))
