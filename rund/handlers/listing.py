"""list and show."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio

from rund.api.params import ListParams, ShowParams, TrialsParams
from rund.api.results import LONGEST_LIST, attempt_map
from rund.engine.schedule import waits_for
from rund.errors import InternalError, InvalidError, NotFoundError
from rund.handlers.context import Call, Context, Reply
from rund.handlers.output import read_tail
from rund.model.operation import Operation, OperationKind
from rund.model.run import Run
from rund.model.status import Status
from rund.operations.hints import input_hint
from rund.operations.stored import environment_from_json, operation_from_json
from rund.protocol.encoding import pack_list
from rund.store.listing import RunFilter
from rund.store.reader import Reader

_DAMAGED = (InternalError, InvalidError)  # what reading a content that is lost or damaged raises
_TAIL = 16_384  # bytes of output in which a hint is looked for
_HINT = 10.0  # seconds for which it is


async def list_runs(context: Context, call: Call[ListParams]) -> Reply:
    """A page of runs, newest start first, or of a batch's trials, in order; from one committed state.

    The runs are packed already, in the thread that reads them: ten thousand would hold up the loop for 20 ms.
    """
    params = call.params
    if params.batch is not None and not params.orphans:
        return await context.store.read(partial(_trials, context=context, params=params, name=params.batch))
    after = None if params.after is None else _cursor(params.after)

    def query(reader: Reader) -> Reply:
        batch = None if params.batch is None else _batch(reader, params.batch)
        wanted = RunFilter(
            status=_statuses(params.status),
            operation=params.operation,
            label=params.label,
            tag=params.tag,
            trash=params.trash,
            orphans=params.orphans,
            made_by=None if batch is None else batch.id,
        )
        page = reader.list_runs(wanted, limit=params.limit, after=after)
        following = None if page.next is None else f"{page.next[0]!r}-{page.next[1]}"
        return {
            "runs": pack_list(context.run_map(reader, run) for run in page.runs),
            "total": page.total,
            "next": following,
            "generation": None,
        }

    return await context.store.read(query)


def _batch(reader: Reader, name: str) -> Run:
    batch = reader.resolve(name)
    if not batch.is_batch:
        raise InvalidError(f"batch: {batch.id[:8]} is a single run, and has no trials", field="batch")
    return batch


def _trials(reader: Reader, *, context: Context, params: ListParams, name: str) -> Reply:
    batch = _batch(reader, name)
    for given in ("operation", "label", "tag"):
        if getattr(params, given) is not None:
            raise InvalidError(f"{given}: not with batch, whose trials are listed in their order", field=given)
    statuses = _statuses(params.status)
    after = -1 if params.after is None else int(_cursor(params.after)[0])
    counts = reader.trial_counts(batch.id)
    page = list(reader.trials(batch.id, statuses, after=after, limit=params.limit + 1))
    shown = page[: params.limit]
    return {
        "runs": pack_list(context.run_map(reader, trial) for trial in shown),
        "total": sum(counts[status] for status in statuses or Status),
        "next": f"{float(shown[-1].position or 0)!r}-0" if len(page) > len(shown) else None,
        "generation": batch.generation,
    }


async def trials(context: Context, call: Call[TrialsParams]) -> Reply:
    """The ids of a list of trials that was committed, a page at a time; kept for an hour after the next one."""
    params = call.params

    def query(reader: Reader) -> Reply:
        batch = _batch(reader, params.batch)
        generation = batch.generation if params.generation is None else params.generation
        found = reader.committed_page(batch.id, generation or 0, after=params.after, limit=params.limit)
        if found is None:
            raise NotFoundError(
                f"generation {generation} of batch {batch.id[:8]} is not kept: its present one is {batch.generation}"
            )
        page, total = found
        following = params.after + len(page)
        return {
            "generation": generation,
            "trials": page,
            "total": total,
            "next": following if following < total else None,
        }

    return await context.store.read(query)


def _statuses(names: list[str]) -> tuple[Status, ...]:
    known = {status.value: status for status in Status}
    for name in names:
        if name not in known:
            raise InvalidError(f"status: {name!r} is none of {', '.join(known)}", field="status")
    return tuple(known[name] for name in dict.fromkeys(names))


def _cursor(text: str) -> tuple[float, int]:
    time, _, key = text.rpartition("-")
    try:
        return float(time), min(int(key), 2**62)
    except ValueError:
        raise InvalidError("after: give `next` of the reply before, as it is", field="after") from None


async def show(context: Context, call: Call[ShowParams]) -> Reply:
    """All that is known of one run, from one committed state."""
    params = call.params

    def query(reader: Reader) -> tuple[str | None, Operation, dict[str, Any]]:
        run = reader.resolve(params.run)
        operation = _operation(reader, run)
        environment = _environment(reader, run) if params.environment else None
        attempts = reader.attempts(run.id)
        return (
            attempts[-1].token if run.status is Status.ERROR and attempts else None,
            operation,
            {
                "run": dict(context.run_map(reader, run)) | _trial_ids(reader, run),
                "attempts": [attempt_map(attempt) for attempt in attempts],
                "operation": operation_map(operation),
                "source": run.spec.setup.source,
                "slots": run.spec.setup.slots,
                "priority": run.spec.setup.priority,
                "inputs": [name for name, _ in run.spec.setup.inputs],
                "environment": environment,
                "waits_for": _waits_for(context, reader, run),
                "batch_options": _batch_options(reader, run),
            },
        )

    token, operation, reply = await context.store.read(query)
    hint = None
    if token is not None:
        with anyio.move_on_after(_HINT):  # the project may hang, and what is known of the run is told all the same
            hint = await context.preparing.in_folder(operation.project_dir, partial(_hint, context, token, operation))
    return reply | {"hint": hint}


def _operation(reader: Reader, run: Run) -> Operation:
    """The operation of a run; of one that is lost or damaged what the run tells of it."""
    try:
        return operation_from_json(reader.operation(run.spec.setup.operation))
    except _DAMAGED:
        return Operation(name=run.operation, kind=OperationKind.EXECUTABLE, entry="", project_dir="", cwd="", target="")


def _environment(reader: Reader, run: Run) -> dict[str, str] | None:
    """The environment of a run; None where it is lost or damaged."""
    try:
        return environment_from_json(reader.environment(run.spec.setup.environment))
    except _DAMAGED:
        return None


def _trial_ids(reader: Reader, run: Run) -> dict[str, Any]:
    """Of a batch: the ids of its trials in order, or how many there are if they are too many."""
    if not run.is_batch:
        return {}
    number = sum(reader.trial_counts(run.id).values())
    return {"trials": reader.trial_ids(run.id) if number <= LONGEST_LIST else number}


def _batch_options(reader: Reader, run: Run) -> dict[str, Any] | None:
    """How the trials of a batch are executed; None of a single run."""
    if not run.is_batch:
        return None
    policy = reader.policy(run.id)
    return {
        "jobs": policy.jobs,
        "retries": policy.retries,
        "fail_fast": policy.fail_fast,
        "paused": policy.paused,
    }


def _waits_for(context: Context, reader: Reader, run: Run) -> str | None:
    if run.status is not Status.PENDING:
        return None
    used = sum(other.spec.setup.slots for other in reader.running())
    ahead = reader.ahead(run)
    jobs = None
    if run.batch is not None and reader.room().get(run.batch) == 0:
        jobs = reader.policy(run.batch).jobs
    return waits_for(run, slots=context.slots, used=used, paused=reader.is_paused(run), ahead=ahead, jobs=jobs)


def _hint(context: Context, token: str, operation: Operation) -> str | None:
    tail = read_tail(context.store.directories.attempt(token) / "output", _TAIL)
    return input_hint(tail.decode("utf-8", "replace"), operation)


def operation_map(operation: Operation) -> Reply:
    """What ``show`` tells of an operation."""
    return {
        "name": operation.name,
        "kind": operation.kind.value,
        "entry": operation.entry,
        "project_dir": operation.project_dir,
        "flags": [
            {
                "name": flag.name,
                "type": None if flag.type is None else flag.type.value,
                "default": flag.default,
                "required": flag.required,
                "choices": None if flag.choices is None else list(flag.choices),
            }
            for flag in operation.flags
        ],
    }
