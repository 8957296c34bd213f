"""What can still be read of a damaged row: pure, and whatever stands in it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from rund.model.run import Attempt, Run, Setup, Spec
from rund.model.status import Status
from rund.store.codec import Row, read_flags, read_scalars, read_texts

T = TypeVar("T")
# What reading a damaged row raises.
FAULTS: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)

# Stands for what cannot be read; nothing is ever started or saved with it.
NOTHING: Final = Spec(setup=Setup(operation="", source=None, environment="", random_seed=0), flags={})
_TOKEN: Final = re.compile(r"[0-9a-f]{32}-[0-9]+")
_LONGEST: Final = 120  # characters of what is wrong


def in_words(error: Exception) -> str:
    """What is wrong with a row that raised ``error``, in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "lost: " if isinstance(error, KeyError) else ""
    return f"{kind}{text}"[:_LONGEST]


def what_is_wrong(row: Row, setups: Mapping[int, Setup], error: Exception) -> str:
    """What cannot be read of a run's row, which raised ``error``, in one short line."""
    columns: list[tuple[str, Any, Callable[[Any], object]]] = [
        ("operation and options", row[2], setups.__getitem__),
        ("flags", row[3], read_flags),
        ("status", row[4], Status),
        ("scalars", row[16], read_scalars),
        ("tags", row[21], read_texts),
    ]
    unreadable = [name for name, value, read in columns if _read(value, read, None) is None]
    return f"its {', '.join(unreadable)} cannot be read" if unreadable else in_words(error)


def damaged_run(row: Row, setups: Mapping[int, Setup], damage: str) -> Run | None:
    """A run of which only what can be read is told, from `queries.RUN_COLUMNS`; None where not even its id can be."""
    if not isinstance(row[0], str) or len(row[0]) != 32:
        return None
    attempts = _number(row[14]) or 0
    return Run(
        id=row[0],
        operation=row[1] if isinstance(row[1], str) else "?",
        spec=Spec(setup=setups.get(row[2], NOTHING.setup), flags=_read(row[3], read_flags, {})),
        status=_read(row[4], Status, Status.ERROR if attempts else Status.STAGED),
        reason=_text(row[5]),
        label=_text(row[6]),
        created=_time(row[7]) or 0.0,
        queued=_time(row[8]),
        place=_number(row[9]),
        started=_time(row[10]),
        stopped=_time(row[11]),
        exit_status=_number(row[12]),
        signal=_number(row[13]),
        attempts=attempts,
        starts=max(attempts, _number(row[15]) or 0),
        scalars=_read(row[16], read_scalars, {}),
        stopping=row[17] == 1,
        deleted=_time(row[20]),
        tags=_read(row[21], read_texts, ()),
        made_by=_text(row[22]),
        batch=_text(row[23]),
        position=_number(row[24]),
        retried=_number(row[25]) or 0,
        generation=_number(row[26]),
        damage=damage,
    )


def damaged_attempt(row: Row, token: str, setups: Mapping[int, Setup], damage: str) -> Attempt:
    """An attempt of which only what can be read is told, from `queries.ATTEMPT_COLUMNS`; its ``token`` is known."""
    return Attempt(
        number=row[0],
        token=token,
        spec=Spec(setup=setups.get(row[2], NOTHING.setup), flags=_read(row[3], read_flags, {})),
        status=_read(row[4], Status, Status.ERROR),
        reason=_text(row[5]),
        started=_time(row[6]) or 0.0,
        stopped=_time(row[7]),
        exit_status=_number(row[8]),
        signal=_number(row[9]),
        place=_number(row[10]) or 0,
        command=_read(row[11], read_texts, ()),
        host=_text(row[12]),
        user=_text(row[13]),
        boot_id=_text(row[14]),
        scalars=_read(row[18], read_scalars, {}),
        damage=damage,
    )


def check_token(token: str, run_id: str) -> None:
    """Raise `ValueError` if ``token`` is none of the run: it names a folder, and that must be none of another's."""
    if not _TOKEN.fullmatch(token) or token.partition("-")[0] != run_id:
        raise ValueError(f"the token {token!r} is none of this run")


def known_token(token: object, run_id: str, number: int) -> str:
    """The token of a damaged attempt, if it can be told; else one that names no folder of anybody."""
    if isinstance(token, str) and _TOKEN.fullmatch(token) and token.startswith(run_id):
        return token
    return f"{run_id}-0{number}"  # no token that was given out begins with 0


def _read(value: object, read: Callable[[Any], T], otherwise: T) -> T:
    with contextlib.suppress(*FAULTS):
        return read(value)
    return otherwise


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
