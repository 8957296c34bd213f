"""Generates a batch's trials for its handlers: outside the transaction, where it may take a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from rund.api.results import LONGEST_LIST
from rund.engine.trials import count, effort, generate
from rund.errors import InvalidError
from rund.handlers.preparing import Preparation, room
from rund.model.batch import Prototype
from rund.model.operation import Operation
from rund.model.run import Setup
from rund.model.space import Choices, LogUniform, Space, Uniform, space_values
from rund.model.values import Flags, FlagValue
from rund.operations.batch_rows import assign_rows, rows_from_json
from rund.protocol.limits import REPLY_LIMITS
from rund.store.codec import dump, flags_key, read_flags

MAX_TEXT: Final = 512 * 1024 * 1024  # characters of all trials' flags, which are held until they are stored

_A_VALUE: Final = 10  # characters of a file's rows
_A_LONG_VALUE: Final = 200  # characters of trials' flags


class _LongerError(Exception):
    """The flags have more characters than there is room for, ``size`` at least."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Trials: their flags as the store writes them, and the keys by which they are matched.

    A hundred thousand maps of flags would be larger, and each collection of garbage would look at them.
    """

    texts: Sequence[str]
    keys: Sequence[bytes]

    def flags(self, position: int) -> Flags:
        """The flags of the trial at ``position``."""
        return read_flags(self.texts[position])

    def shown(self, positions: Sequence[int]) -> list[Flags]:
        """The flags of the trials at ``positions`` for an answer, which of too many only tells how many there are.

        Raises `InvalidError` for more text than an answer may have.
        """
        if len(positions) > LONGEST_LIST:
            return [{}] * len(positions)
        size = sum(len(self.texts[position]) for position in positions)
        if size > REPLY_LIMITS.message_bytes:
            raise InvalidError(
                f"the flags of {len(positions):,} trials have {size:,} characters, and a dry run shows at most"
                f" {REPLY_LIMITS.message_bytes:,}: give shorter values, or fewer trials",
                field="dry_run",
            )
        return [self.flags(position) for position in positions]


async def generate_trials(
    preparation: Preparation, prototype: Prototype, operation: Operation, setup: Setup, *, force: bool
) -> Generated:
    """Generate in a thread; raises `rund.errors.InvalidError` for what cannot be generated."""
    if prototype.rows is None:
        values = effort(prototype.space, optimizer=prototype.optimizer, max_trials=prototype.max_trials)
    else:
        values = len(prototype.rows) // _A_VALUE
    while True:
        most = room(values) * _A_LONG_VALUE
        generate = partial(generate_flags, prototype, operation, setup, force=force, most=most)
        try:
            return await preparation.compute(values, generate)
        except _LongerError as error:
            error.__traceback__ = None  # its frames hold what was made
            values = error.size // _A_LONG_VALUE + 1


def generate_flags(
    prototype: Prototype, operation: Operation, setup: Setup, *, force: bool, most: float = math.inf
) -> Generated:
    """The trials of ``prototype``; raises `rund.errors.InvalidError`, also for flags of more than `MAX_TEXT`.

    Raises `_LongerError` for flags of more than ``most`` characters.
    """
    space = prototype.space
    rows = None
    if prototype.rows is not None:
        rows = assign_rows(operation, rows_from_json(prototype.rows), space=space, given=setup.given, force=force)
    optimizer, max_trials = prototype.optimizer, prototype.max_trials
    wanted = count(space, rows, optimizer=optimizer, max_trials=max_trials)
    if rows is None:
        _check_text(wanted * len(dump(space.fixed)), wanted, most)  # at least: each trial has those
    texts: list[str] = []
    keys: list[bytes] = []
    size = 0
    for flags in generate(space, rows, optimizer=optimizer, seed=setup.random_seed, max_trials=max_trials):
        text = dump(flags)
        texts.append(text)
        keys.append(flags_key(flags))
        size += len(text)
        _check_text(size, wanted, most)
    return Generated(texts=texts, keys=keys)


def _check_text(size: int, trials: int, most: float) -> None:
    if size > MAX_TEXT:
        raise InvalidError(
            f"the flags of {trials:,} trials have more than {MAX_TEXT:,} characters: give shorter values, or fewer"
            " trials; a long text can stand in a file that the trials read"
        )
    if size > most:
        raise _LongerError(size)


def shown_flags(space: Space) -> Flags:
    """A batch's own flags, as the wire shows them: lists as lists, random functions as the text that gives them."""
    return {name: _shown(value) for name, value in space_values(space).items()}


def _shown(value: FlagValue | Choices | Uniform | LogUniform) -> FlagValue:
    match value:
        case Choices():
            # A function's text, not the hundred thousand values that it may give.
            return value.text if value.text is not None and value.text[:1] != "[" else list(value.values)
        case Uniform():
            return value.text or f"uniform[{value.low!r}:{value.high!r}]"
        case LogUniform():
            return value.text or f"loguniform[{value.low!r}:{value.high!r}]"
        case _:
            return value
