"""Flags that a request gives are read beside the loop, which has others to answer meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio

from rund.handlers.flags import GivenFlags, assign_given
from rund.handlers.preparing import open_preparing, prepare
from rund.model.operation import Operation, OperationKind
from rund.model.space import Choices
from rund.operations.assign import Assignment


class Watched(list[Assignment]):
    """Assignments that note which threads read them."""

    readers: set[int]

    def __iter__(self) -> Iterator[Assignment]:
        self.readers.add(threading.get_ident())
        return super().__iter__()


class Stays:
    """A client that does not leave."""

    def has_left(self) -> bool:
        return False


def test_flags_are_assigned_in_a_thread_of_their_own():
    operation = Operation(name="p", kind=OperationKind.EXECUTABLE, entry="/p", project_dir="/", cwd="/", target="p")
    assignments = Watched([Assignment(name="x", text="range[1:3]")])
    assignments.readers = set()

    async def assign() -> tuple[int, object]:
        given = GivenFlags(assignments=assignments, rows=None)
        async with open_preparing() as preparing, prepare(preparing, Stays()) as preparation:
            assigned = await assign_given(
                preparation, operation, given, base=None, before=frozenset(), force=False, has_rows=False
            )
        return threading.get_ident(), assigned.space.varying["x"]

    loop, space = anyio.run(assign)
    assert space == Choices(values=(1, 2, 3), text="range[1:3]")
    assert assignments.readers - {loop}  # which counts the values beforehand
