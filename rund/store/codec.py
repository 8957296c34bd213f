"""Rows to values and back.  Flags are JSON with NaN and Infinity, as Python writes and reads them exactly."""

from __future__ import annotations

import hashlib
import json
from itertools import chain
from typing import Any, Final

import msgspec

from rund.model.event import Event, EventKind
from rund.model.run import Attempt, Run, Setup, Spec, Usage, list_time
from rund.model.status import Status
from rund.model.values import Flags, check_flags, check_text, trial_key

Row = tuple[Any, ...]
_LARGEST: Final = 2**63 - 1  # integer that SQLite keeps
# What msgspec needs to know of it is made here, once: threads that make it at the same time crash.
_SETUP: Final = msgspec.json.Decoder(Setup)


_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: it costs more than a trial's flags do


def dump(value: object) -> str:
    """Compact JSON text; what is not UTF-8 stays, as escaped surrogates."""
    return _encode(value)


def read_flags(text: str) -> Flags:
    """The flags that `dump` wrote.  Raises `rund.store.damage.FAULTS` for other JSON, as all that reads here."""
    flags: Flags = json.loads(text)
    check_flags(flags)
    return flags


def read_scalars(text: str) -> dict[str, float]:
    """The scalars that `dump` wrote."""
    scalars: dict[str, float] = json.loads(text)
    check_flags(scalars)
    if not all(type(value) in (float, int) for value in scalars.values()):
        raise ValueError("these are no scalars")
    return scalars


def read_texts(text: str) -> tuple[str, ...]:
    """The list of texts that `dump` wrote."""
    texts: list[str] = json.loads(text)
    if not isinstance(texts, list):
        raise TypeError("this is no list")
    for text in texts:
        check_text(text, escaped=True)
    return tuple(texts)


def digest(text: str) -> str:
    """The name of a content that is kept once: 32 hex digits of BLAKE2b."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def flags_key(flags: Flags) -> bytes:
    """16 bytes of BLAKE2b over the typed flags: equal for equal ones, and for no others that will ever be met."""
    return hashlib.blake2b(trial_key(flags).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def setup_options(setup: Setup) -> str:
    """The options of ``setup`` that no query asks for, as JSON."""
    return dump(
        {
            "commit": setup.commit,
            "taken": setup.taken,
            "given": sorted(setup.given),
            "random_seed": setup.random_seed,
            "slots": setup.slots,
            "priority": setup.priority,
            "inputs": setup.inputs,
            "clean": setup.clean,
        }
    )


def setup_from_row(row: Row) -> Setup:
    """A setup from (operation, environment, source, options)."""
    fields = {**json.loads(row[3]), "operation": row[0], "environment": row[1], "source": row[2]}
    setup: Setup = msgspec.convert(fields, _SETUP.type)  # not decoded: it takes no text that is not UTF-8
    for text in (setup.commit or "", *setup.given, *chain.from_iterable(setup.inputs)):
        check_text(text, escaped=True)
    if setup.slots < 1 or max(map(abs, (setup.slots, setup.taken, setup.random_seed, setup.priority))) > _LARGEST:
        raise ValueError("a number is out of range")
    return setup


def run_from_row(row: Row, setups: dict[int, Setup]) -> Run:
    """A run from `queries.RUN_COLUMNS`; ``setups`` holds those that it names, by key."""
    next_spec = None if row[18] is None else Spec(setup=setups[row[18]], flags=read_flags(row[19]))
    return Run(
        id=row[0],
        operation=row[1],
        spec=Spec(setup=setups[row[2]], flags=read_flags(row[3])),
        status=Status(row[4]),
        reason=row[5],
        label=row[6],
        created=row[7],
        queued=row[8],
        place=row[9],
        started=row[10],
        stopped=row[11],
        exit_status=row[12],
        signal=row[13],
        attempts=row[14],
        starts=row[15],
        scalars=read_scalars(row[16]),
        stopping=bool(row[17]),
        next_spec=next_spec,
        deleted=row[20],
        tags=tuple(json.loads(row[21])),
        made_by=row[22],
        batch=row[23],
        position=row[24],
        retried=row[25],
        generation=row[26],
        damage=row[27],
    )


def run_values(run: Run, setup: int, next_setup: int | None) -> dict[str, Any]:
    """The named values of a run's row; ``setup`` and ``next_setup`` are keys."""
    return {
        "id": run.id,
        "operation": run.operation,
        "setup": setup,
        "flags": dump(run.spec.flags),
        "flags_key": flags_key(run.spec.flags),
        "status": run.status.value,
        "reason": run.reason,
        "label": run.label,
        "created": run.created,
        "queued": run.queued,
        "place": run.place,
        "priority": run.spec.setup.priority,
        "started": run.started,
        "stopped": run.stopped,
        "exit_status": run.exit_status,
        "signal": run.signal,
        "attempts": run.attempts,
        "starts": run.starts,
        "scalars": dump(run.scalars),
        "stopping": int(run.stopping),
        "next_setup": next_setup,
        "next_flags": None if run.next_spec is None else dump(run.next_spec.flags),
        "deleted": run.deleted,
        "listed": list_time(run),
        "made_by": run.made_by,
        "batch": run.batch,
        "position": run.position,
        "retried": run.retried,
        "generation": run.generation,
    }


_AS_THEY_ARE = (
    *("reason", "label", "queued", "place", "started", "stopped", "exit_status", "signal", "attempts", "starts"),
    *("deleted", "position", "retried", "generation"),
)


def changed_values(before: Run, after: Run) -> dict[str, Any] | None:
    """The named values of a run's row that have changed; None if such have as name other rows."""
    if (before.spec, before.next_spec, before.batch) != (after.spec, after.next_spec, after.batch):
        return None
    values: dict[str, Any] = {
        name: getattr(after, name) for name in _AS_THEY_ARE if getattr(before, name) != getattr(after, name)
    }
    if before.status is not after.status:
        values["status"] = after.status.value
    if before.scalars != after.scalars:
        values["scalars"] = dump(after.scalars)
    if before.stopping != after.stopping:
        values["stopping"] = int(after.stopping)
    if list_time(before) != list_time(after):
        values["listed"] = list_time(after)
    return values


def attempt_from_row(row: Row, setups: dict[int, Setup]) -> Attempt:
    """An attempt from `queries.ATTEMPT_COLUMNS`; ``setups`` holds the one that it names, by key."""
    usage = None if row[15] is None else Usage(max_rss=row[15], user_time=row[16], system_time=row[17])
    return Attempt(
        number=row[0],
        token=row[1],
        spec=Spec(setup=setups[row[2]], flags=read_flags(row[3])),
        status=Status(row[4]),
        reason=row[5],
        started=row[6],
        stopped=row[7],
        exit_status=row[8],
        signal=row[9],
        place=row[10],
        command=read_texts(row[11]),
        host=row[12],
        user=row[13],
        boot_id=row[14],
        usage=usage,
        scalars=read_scalars(row[18]),
    )


def attempt_values(run_id: str, attempt: Attempt, setup: int) -> dict[str, Any]:
    """The named values of an attempt's row; ``setup`` is a key."""
    usage = attempt.usage
    return {
        "run": run_id,
        "number": attempt.number,
        "token": attempt.token,
        "setup": setup,
        "flags": dump(attempt.spec.flags),
        "status": attempt.status.value,
        "reason": attempt.reason,
        "started": attempt.started,
        "stopped": attempt.stopped,
        "exit_status": attempt.exit_status,
        "signal": attempt.signal,
        "place": attempt.place,
        "command": dump(attempt.command),
        "host": attempt.host,
        "user": attempt.user,
        "boot_id": attempt.boot_id,
        "max_rss": None if usage is None else usage.max_rss,
        "user_time": None if usage is None else usage.user_time,
        "system_time": None if usage is None else usage.system_time,
        "scalars": dump(attempt.scalars),
    }


def ended_values(run_id: str, attempt: Attempt) -> dict[str, Any]:
    """The named values of an attempt's row that its end changes."""
    usage = attempt.usage
    return {
        "run": run_id,
        "number": attempt.number,
        "status": attempt.status.value,
        "reason": attempt.reason,
        "started": attempt.started,
        "stopped": attempt.stopped,
        "exit_status": attempt.exit_status,
        "signal": attempt.signal,
        "max_rss": None if usage is None else usage.max_rss,
        "user_time": None if usage is None else usage.user_time,
        "system_time": None if usage is None else usage.system_time,
        "scalars": dump(attempt.scalars),
    }


def event_from_row(row: Row) -> Event:
    """An event from (number, time, kind, runs, status, reason, batch, generation)."""
    return Event(
        number=row[0],
        time=row[1],
        kind=EventKind(row[2]),
        runs=tuple(json.loads(row[3])),
        status=None if row[4] is None else Status(row[4]),
        reason=row[5],
        batch=row[6],
        generation=row[7],
    )
