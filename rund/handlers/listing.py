"""list and show."""

from __future__ import annotations

import json
from typing import Any

import anyio.to_thread

from rund.api.params import ListParams, ShowParams
from rund.api.results import attempt_map
from rund.engine.schedule import waits_for
from rund.errors import InvalidError
from rund.handlers.context import Call, Context, Reply
from rund.handlers.output import read_tail
from rund.model.operation import Operation
from rund.model.run import Run
from rund.model.status import Status
from rund.operations.hints import input_hint
from rund.operations.stored import operation_from_json
from rund.store.reader import Page, Reader, RunFilter

_TAIL = 16_384  # bytes of output in which a hint is looked for


async def list_runs(context: Context, call: Call[ListParams]) -> Reply:
    """A page of runs, newest start first, from one committed state."""
    params = call.params
    wanted = RunFilter(
        status=_statuses(params.status),
        operation=params.operation,
        label=params.label,
        tag=params.tag,
        trash=params.trash,
    )
    after = None if params.after is None else _cursor(params.after)

    def query(reader: Reader) -> Page:
        return reader.list_runs(wanted, limit=params.limit, after=after)

    page = await context.store.read(query)
    following = None if page.next is None else f"{page.next[0]!r}-{page.next[1]}"
    return {"runs": [context.run_map(run) for run in page.runs], "total": page.total, "next": following}


def _statuses(names: list[str]) -> tuple[Status, ...]:
    known = {status.value: status for status in Status}
    for name in names:
        if name not in known:
            raise InvalidError(f"status: {name!r} is none of {', '.join(known)}", field="status")
    return tuple(known[name] for name in names)


def _cursor(text: str) -> tuple[float, int]:
    time, _, key = text.rpartition("-")
    try:
        return float(time), int(key)
    except ValueError:
        raise InvalidError("after: give `next` of the reply before, as it is", field="after") from None


async def show(context: Context, call: Call[ShowParams]) -> Reply:
    """All that is known of one run, from one committed state."""
    params = call.params

    def query(reader: Reader) -> tuple[Run, Operation, dict[str, Any]]:
        run = reader.resolve(params.run)
        operation = operation_from_json(reader.operation(run.spec.setup.operation))
        environment = json.loads(reader.environment(run.spec.setup.environment)) if params.environment else None
        return (
            run,
            operation,
            {
                "run": context.run_map(run),
                "attempts": [attempt_map(attempt) for attempt in reader.attempts(run.id)],
                "operation": operation_map(operation),
                "source": run.spec.setup.source,
                "slots": run.spec.setup.slots,
                "priority": run.spec.setup.priority,
                "inputs": [name for name, _ in run.spec.setup.inputs],
                "environment": environment,
                "waits_for": _waits_for(context, reader, run),
            },
        )

    run, operation, reply = await context.store.read(query)
    hint = None
    if run.status is Status.ERROR:
        hint = await anyio.to_thread.run_sync(_hint, context, run, operation)
    return reply | {"hint": hint}


def _waits_for(context: Context, reader: Reader, run: Run) -> str | None:
    if run.status is not Status.PENDING:
        return None
    used = sum(other.spec.setup.slots for other in reader.running())
    ahead = reader.ahead(run)
    return waits_for(run, slots=context.slots, used=used, paused=reader.paused(), ahead=ahead)


def _hint(context: Context, run: Run, operation: Operation) -> str | None:
    token = f"{run.id}-{run.starts}"
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
