"""What becomes of a run's flags when its operation is read anew (``--update-source``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from rund.model.operation import Operation
from rund.model.values import Flags, value_key
from rund.operations.assign import takes_any_flag
from rund.operations.fit import fit_value
from rund.operations.given import same_name

Value = TypeVar("Value")


def undeclared(operation: Operation, values: Mapping[str, Value]) -> dict[str, Value]:
    """Those of the flags ``values`` that ``operation`` does not know: made to pass by ``--force-flags``.

    Of an operation that takes any flag there are none.
    """
    if takes_any_flag(operation):
        return {}
    known = {same_name(flag.name) for flag in operation.flags}
    return {name: value for name, value in values.items() if same_name(name) not in known}


def updated_flags(before: Operation, operation: Operation, flags: Flags, given: Collection[str]) -> Flags:
    """The flags of a run of ``before`` as one of the new ``operation``: its defaults, and what the user gave.

    Flags that it no longer has are dropped; those that ``before`` did not know either stay.  Raises `InvalidError`,
    naming the flag, for a given value that no longer fits.
    """
    asked = {name: value for name, value in flags.items() if name in given}
    if takes_any_flag(operation):
        return asked
    kept = {same_name(name): value for name, value in asked.items()}
    updated = {
        flag.name: fit_value(flag, kept[same_name(flag.name)]) if same_name(flag.name) in kept else flag.default
        for flag in operation.flags
    }
    return updated | undeclared(operation, undeclared(before, asked))


def flags_in(operation: Operation, flags: Flags, before: Operation) -> Flags:
    """The flags of a run of another operation, ``before``, for matching, in terms of ``operation``.

    A flag that the run lacks equals its default, and one that no longer exists is ignored; not so one that ``before``
    did not know either.
    """
    if takes_any_flag(operation):
        return flags
    have = {same_name(name): value for name, value in flags.items()}
    declared = {flag.name: have.get(same_name(flag.name), flag.default) for flag in operation.flags}
    others = undeclared(operation, flags)
    return declared | undeclared(before, others) if others else declared


def flags_before(operation: Operation, flags: Flags, newer: Operation) -> Flags | None:
    """The flags of a run of the ``newer`` operation, for matching, in terms of ``operation``, an older one.

    A flag that the run lacks equals its old default.  None: one that only the newer has is not at its default, so that
    no run of the older is like it.
    """
    if takes_any_flag(operation):
        return flags
    known = {same_name(flag.name) for flag in operation.flags}
    defaults = {same_name(flag.name): flag.default for flag in newer.flags}
    passed = undeclared(newer, flags)
    for name, value in flags.items():
        same = same_name(name)
        if (
            same not in known
            and name not in passed
            and (same not in defaults or value_key(value) != value_key(defaults[same]))
        ):
            return None
    return flags_in(operation, flags, newer)


def same_flags(flags: Flags, operation: Operation, wanted: Flags) -> bool:
    """Whether a run with ``flags`` is what the new ``operation`` would be with ``wanted``.

    A flag that the run lacks equals its new default, and one that no longer exists is ignored.
    """
    have = {same_name(name): value for name, value in flags.items()}
    want = {same_name(name): value for name, value in wanted.items()}
    defaults = {same_name(flag.name): flag.default for flag in operation.flags}
    return all(
        value_key(have.get(name, defaults.get(name))) == value_key(want.get(name, defaults.get(name)))
        for name in (*defaults, *want)
    )
