"""Params for every method: of the right names with any values, of likely values, and of no sense at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rund.api.params import METHODS

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats()
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["@1", "@2", "@99", "0000", "zz", "", "x" * 100])
LIKELY = (
    NAMES
    | st.integers(-2, 30)
    | st.booleans()
    | st.lists(NAMES, max_size=3)
    | st.sampled_from(["completed", "grid", "all", "1.5-3", "x=[1,2]", "x=range[1:3]"])
    | st.lists(st.sampled_from(["x=1", "x=[1,2]", "y", "=", "@none.csv", "completed"]), max_size=3)
    | st.dictionaries(st.sampled_from(["x", "y", "PATH"]), st.integers(0, 3) | st.text(max_size=5), max_size=2)
)
# The daemon is not to end, no file to be written, and runs that are made are not to run for long.
_ALWAYS: dict[str, dict[str, Any]] = {
    "shutdown": {"never": 1},
    "backup": {"path": "/dev/null/backup"},
    "run": {"stage": True},
    "restart": {"stage": True},
    "wait": {"timeout": 0.01},
    "events": {"timeout": 0.01},
    "output": {"timeout": 0.01},
}


def any_params(method: str, script: str, folder: str) -> st.SearchStrategy[Any]:
    """Params of ``method``; a run is of ``script`` in ``folder`` now and then."""
    fields = METHODS[method].__struct_fields__
    maps = st.dictionaries(st.sampled_from(fields), LIKELY | ANYTHING, max_size=4) if fields else st.just({})
    likely = {
        "operation": st.just(script),
        "cwd": st.just(folder),
        "run": NAMES,
        "runs": st.lists(NAMES),
        "batch": NAMES,
    }
    needed = st.fixed_dictionaries({name: likely[name] for name in likely if name in fields})
    whole = st.builds(lambda first, second: first | second, needed, maps) | maps
    given = whole | ANYTHING.map(lambda value: {"unknown": value})
    return given.map(lambda params: [params | _ALWAYS.get(method, {})])
