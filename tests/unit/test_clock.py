"""Time never goes back within a process, and does not go behind what was read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rund.clock import Clock


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.boot = 50.0
        self.clock = Clock(lambda: self.wall, lambda: self.boot)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


def test_it_follows_the_machines_clock() -> None:
    machine = Machine()
    assert machine.clock.now() == 1_000_000.0
    machine.passes(5.0)
    machine.wall += 3600.0
    assert machine.clock.now() == 1_003_605.0


def test_where_the_machines_clock_is_set_back_it_goes_on_from_where_it_was() -> None:
    machine = Machine()
    first = machine.clock.now()
    machine.wall -= 3600.0
    machine.passes(2.0)
    assert machine.clock.now() == first + 1.0
    machine.passes(3600.0)
    assert machine.clock.now() == first + 1801.0
    machine.passes(3600.0)
    assert machine.clock.now() == machine.wall == first + 3602.0


def test_what_was_read_is_not_gone_behind_unless_it_is_a_day_ahead() -> None:
    machine = Machine()
    machine.clock.go_on_after(1_000_100.0)
    assert machine.clock.now() == 1_000_100.0
    machine.passes(10.0)
    assert machine.clock.now() == 1_000_105.0
    machine.clock.go_on_after(1_000_050.0)
    assert machine.clock.now() == 1_000_105.0
    machine.clock.go_on_after(1_000_000.0 + 2 * 86_400.0)
    assert machine.clock.now() == 1_000_105.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6), st.floats(0, 2e6))))
def test_it_never_goes_back(changes: list[tuple[float, float, float]]) -> None:
    machine = Machine()
    before = machine.clock.now()
    for passed, set_by, read in changes:
        machine.passes(passed)
        machine.wall += set_by
        machine.clock.go_on_after(read)
        now = machine.clock.now()
        assert now >= before
        before = now
