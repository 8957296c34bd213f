"""Makes an attempt ready to be submitted: its directories, command line and environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rund.errors import InvalidError, RundError
from rund.executor.backend import Submission
from rund.executor.inputs import link_input
from rund.model.operation import Operation
from rund.model.run import Attempt, Run, Spec
from rund.operations.command import CommandLine, command_line
from rund.operations.stored import environment_from_json, operation_from_json
from rund.private_folder import make_private_folder
from rund.store.directories import Directories
from rund.store.reader import Reader

_KEPT = 256
_PYTHON = "python3"  # the shim looks it up: a folder of the PATH may hang, and must hang nothing but this run
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class CannotStartError(Exception):
    """The run cannot be started, and trying again would not help; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """What the setups of many runs have in common, read once."""

    operation: Operation
    environment: dict[str, str]


class Launcher:
    """Prepares attempts in the folders of one home."""

    def __init__(self, directories: Directories, *, socket: str, grace: float, slots: int, output_limit: int) -> None:
        self._directories = directories
        self._socket = socket
        self._grace = grace
        self._slots = slots
        self._output_limit = output_limit
        self._processors = len(os.sched_getaffinity(0))
        self._programs: dict[tuple[str, str], _Program] = {}

    def command(self, reader: Reader, spec: Spec) -> CommandLine:
        """The command line of a start with ``spec``; raises `CannotStartError`."""
        program = self._program(reader, spec)
        source = spec.setup.source
        folder = None if source is None else self._directories.source(source)
        try:
            return command_line(program.operation, spec.flags, source_dir=folder, python=_PYTHON)
        except InvalidError as error:
            raise CannotStartError(error.message) from None

    def submission(self, reader: Reader, run: Run, attempt: Attempt) -> Submission:
        """The submission of ``attempt``, whose directories `make_directories` makes.  Raises `CannotStartError`."""
        line = self.command(reader, attempt.spec)
        program = self._program(reader, attempt.spec)
        return Submission(
            token=attempt.token,
            directory=self._directories.attempt(attempt.token),
            cwd=self._directories.run(run.id),
            argv=line.argv,
            environment=self._environment(run, attempt, program, line) | self._shared(reader, run, attempt, program),
            grace=self._grace,
            output_limit=self._output_limit,
            started=attempt.started,
        )

    def _program(self, reader: Reader, spec: Spec) -> _Program:
        key = (spec.setup.operation, spec.setup.environment)
        program = self._programs.get(key)
        if program is None:
            try:
                operation = operation_from_json(reader.operation(key[0]))
                environment = environment_from_json(reader.environment(key[1]))
            except RundError:
                raise CannotStartError("its operation or environment is lost or damaged in the store") from None
            program = _Program(operation=operation, environment=environment)
            if len(self._programs) >= _KEPT:
                self._programs.clear()
            self._programs[key] = program
        return program

    def make_directories(self, run_id: str, attempt: Attempt) -> None:
        """Make the directories of an attempt, with its inputs.  Raises OSError."""
        setup = attempt.spec.setup
        folder = self._directories.run(run_id)
        if setup.clean:
            self._directories.empty(run_id)
        make_private_folder(folder)
        make_private_folder(self._directories.attempt(attempt.token))
        for name, target in setup.inputs:
            link_input(folder, name, target)

    def _shared(self, reader: Reader, run: Run, attempt: Attempt, program: _Program) -> dict[str, str]:
        """What a trial has besides: its batch, and its share of the processors among those that may run at once."""
        if run.batch is None:
            return {}
        jobs = reader.policy(run.batch).jobs
        at_once = max(1, self._slots // attempt.spec.setup.slots)
        share = max(1, self._processors // min(at_once, jobs or at_once))
        threads = {name: str(share) for name in _THREADS if name not in program.environment}
        return {"RUND_BATCH_ID": run.batch} | threads

    def _environment(self, run: Run, attempt: Attempt, program: _Program, line: CommandLine) -> dict[str, str]:
        setup = attempt.spec.setup
        environment = program.environment | dict(line.environment)
        environment |= {
            "RUND_RUN_ID": run.id,
            "RUND_RUN_DIR": str(self._directories.run(run.id)),
            "RUND_PROJECT_DIR": program.operation.project_dir,
            "RUND_SOCKET": self._socket,
            "RUND_HOME": str(self._directories.home),
            "RUND_RANDOM_SEED": str(setup.random_seed),
        }
        environment.setdefault("PYTHONUNBUFFERED", "1")
        if setup.source is not None:
            path = str(self._directories.source(setup.source))
            before = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = path if not before else f"{path}:{before}"
        return environment
