"""What concurrent clients may see of one batch: the sequential specification of a batch with a grid of two flags.

Its state is what decides the answers: the generation, the lists of values, the trials with their flags, the runs that
the batch made and does not list, and what may be live.  Which ids a generation lists, and so those that a restart makes,
is taken from ``lists``: there is one list for each generation, whoever reads it.

Trials end by themselves, at times that nobody knows: so a trial may be live from the restart that queues it until it
is seen at rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

from tests.faults.linearizability import Operation

Key = tuple[int, int]  # (x, y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A restart of the batch; None: the values stay."""

    xs: tuple[int, ...] | None = None
    ys: tuple[int, ...] | None = None
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """A deletion of runs that the batch made."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A ``list`` of the batch's trials, or a ``show`` of the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """What a restart committed, and its plan."""

    generation: int
    trials: tuple[str, ...]
    created: tuple[str, ...]
    restarted: tuple[str, ...]
    skipped: tuple[str, ...]
    kept: tuple[str, ...]
    taken_back: tuple[str, ...]
    orphaned: tuple[str, ...]
    deleted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The runs are in the trash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One committed list; a ``show`` of the batch tells no flags of its trials, and how many are live, not which."""

    generation: int
    trials: tuple[str, ...]
    keys: tuple[Key, ...] | None = None
    live: tuple[str, ...] | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error, by its code."""

    code: str


Call = Restart | Delete | Read
Answer = Restarted | Deleted | Seen | Refused
Event = Operation[Call, Answer]


class Trial(NamedTuple):
    """A run that the batch made."""

    id: str
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the answers depend on."""

    generation: int
    xs: tuple[int, ...]
    ys: tuple[int, ...]
    listed: tuple[Trial, ...]
    orphans: frozenset[Trial] = frozenset()
    unsure: frozenset[Trial] = frozenset()  # set free by a restart without an answer: orphans, or deleted
    live: frozenset[str] = frozenset()  # may be running or pending


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The specification for one batch: ``lists`` are the ids of each generation."""

    lists: Mapping[int, tuple[str, ...]]

    @cached_property
    def made(self) -> dict[str, int]:
        """The generation that lists each run first."""
        made: dict[str, int] = {}
        for generation in sorted(self.lists):
            for run_id in self.lists[generation]:
                made.setdefault(run_id, generation)
        return made

    def step(self, state: State, operation: Event) -> Iterator[State]:
        """Each state that ``operation`` may lead to; what has no answer may have done nothing."""
        if operation.answer is None:
            yield state
        match operation.call, operation.answer:
            case Read(), Seen() as seen:
                yield from _read(state, seen)
            case Restart() as call, (Restarted() | None) as answer:
                yield from self._restart(state, call, answer)
            case Delete(ids=ids), (Deleted() | None):
                yield from self._delete(state, frozenset(ids))
            case call, Refused(code=code):
                if _may_refuse(state, call, code):
                    yield state
            case _:  # an answer of another kind
                return

    def _restart(self, state: State, call: Restart, answer: Restarted | None) -> Iterator[State]:
        generation = state.generation + 1
        ids = self.lists.get(generation, ())
        xs, ys = _values(state, call)
        listed = tuple(map(Trial, ids, product(xs, ys)))
        if len(listed) != len(xs) * len(ys) or not self._matched(state, listed, generation):
            return
        freed = frozenset(state.listed) - set(listed)
        taken = (state.orphans | state.unsure).intersection(listed)
        created = {run_id for run_id in ids if self.made[run_id] == generation}
        deleted = frozenset(trial for trial in freed if trial.id in state.live and call.needed)
        unsure = deleted
        live = state.live | created if call.needed else (state.live - _ids(freed)).union(ids)
        if answer is not None:
            if (answer.generation, answer.trials, set(answer.created)) != (generation, ids, created):
                return
            if not _agrees(state, call, answer, freed=freed, taken=taken):
                return
            deleted = frozenset(trial for trial in freed if trial.id in answer.deleted)
            unsure = frozenset()
            live -= {*answer.skipped, *answer.deleted}
        yield State(
            generation=generation,
            xs=xs,
            ys=ys,
            listed=listed,
            orphans=(state.orphans - taken) | (freed - deleted),
            unsure=(state.unsure - taken) | unsure,
            live=live,
        )

    def _matched(self, state: State, listed: tuple[Trial, ...], generation: int) -> bool:
        """Whether each place is taken by the trial that has it, else by an orphan if there is one, else by a new run."""
        current = {trial.key: trial for trial in state.listed}
        orphans = {trial.key for trial in state.orphans}
        return all(
            trial == current[trial.key]
            if trial.key in current
            else trial in state.orphans
            or trial in state.unsure
            or (trial.key not in orphans and self.made[trial.id] == generation)
            for trial in listed
        )

    def _delete(self, state: State, ids: frozenset[str]) -> Iterator[State]:
        if not ids <= _ids(state.listed) | _ids(state.orphans) | _ids(state.unsure):
            return
        left = tuple(trial for trial in state.listed if trial.id not in ids)
        leaves = left != state.listed
        generation = state.generation + leaves
        if self.lists.get(generation) == tuple(trial.id for trial in left):
            yield replace(
                state,
                generation=generation,
                listed=left,
                orphans=frozenset(trial for trial in state.orphans if trial.id not in ids),
                unsure=frozenset(trial for trial in state.unsure if trial.id not in ids),
                live=state.live - ids,
            )


def _ids(trials: Iterable[Trial]) -> frozenset[str]:
    return frozenset(trial.id for trial in trials)


def _values(state: State, call: Restart) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The values that a restart generates from: what it does not give stays."""
    return (call.xs or state.xs, call.ys or state.ys)


def _may_refuse(state: State, call: Call, code: str) -> bool:
    match call, code:
        case Restart(needed=False), "busy":
            return bool(_touched(state, call) & state.live)
        case Delete(ids=ids), "busy":
            return bool(state.live.intersection(ids))
        case Delete(ids=ids), "not-found":
            return not set(ids) <= _ids(state.listed) | _ids(state.orphans)
        case _:
            return False


def _touched(state: State, call: Restart) -> frozenset[str]:
    """The runs that a restart lists, or would take back."""
    xs, ys = _values(state, call)
    back = set(product(xs, ys)) - {trial.key for trial in state.listed}
    return _ids(state.listed) | _ids(trial for trial in state.orphans | state.unsure if trial.key in back)


def _read(state: State, seen: Seen) -> Iterator[State]:
    if (seen.generation, seen.trials) != (state.generation, tuple(trial.id for trial in state.listed)):
        return
    if seen.keys not in (None, tuple(trial.key for trial in state.listed)):
        return
    may_be = state.live.intersection(seen.trials)
    if isinstance(seen.live, int):
        if seen.live <= len(may_be):
            yield state if seen.live else replace(state, live=state.live.difference(seen.trials))
    elif may_be.issuperset(seen.live):
        yield replace(state, live=state.live - set(seen.trials).difference(seen.live))


def _agrees(
    state: State, call: Restart, answer: Restarted, *, freed: frozenset[Trial], taken: frozenset[Trial]
) -> bool:
    """Whether the plan of a restart tells what has been done: each run once, and nothing that cannot be."""
    done = [*answer.created, *answer.restarted, *answer.skipped, *answer.kept]
    left = [*answer.orphaned, *answer.deleted]
    if sorted(done) != sorted(answer.trials) or sorted(left) != sorted(_ids(freed)):
        return False
    if set(answer.taken_back) != _ids(taken) or not state.live.issuperset(answer.deleted):
        return False
    if call.needed:  # every trial completes, so none is run again
        return not answer.restarted and state.live.issuperset(answer.kept)
    return not (answer.skipped or answer.kept or answer.deleted)
