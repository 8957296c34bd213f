"""A request is known by its method and params, whatever the order of names, and told from any other."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.api.params import RunParams, StatusParams, read_params
from rund.errors import InvalidError
from rund.handlers.request_key import request_key, texts

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 5))
def test_it_is_the_json_whole(value: Any, depth: int) -> None:
    assert "".join(texts(value, depth)) == json.dumps(value, sort_keys=True)


def test_rows_and_arguments_stand_apart() -> None:
    params = {"rows": [{"x": 1}, {"y": [2]}], "args": ["a"]}
    parts = list(texts(["run", params], 3))
    assert '{"x": 1}' in parts
    assert '{"y": [2]}' in parts
    assert '"a"' in parts


def params(**given: Any) -> RunParams:
    return read_params(RunParams, {"operation": "echo.py", "cwd": "/", "request_id": "mine", **given})


def test_a_request_is_known_by_what_it_was_known_by_before() -> None:
    asked = params(flags={"b": 1.0, "a": "1"}, rows=[{"x": [1, 2]}], env={"A": b"\xff"})
    text = json.dumps(["run", msgspec.structs.asdict(asked)], sort_keys=True, default=repr)
    key = request_key("run", asked)
    assert key is not None
    assert key.digest == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    assert key.request_id == "mine"
    assert request_key("run", params(flags={"a": "1", "b": 1.0}, rows=[{"x": [1, 2]}], env={"A": b"\xff"})) == key
    for other in ({"b": 1, "a": "1"}, {"b": 1.0, "a": 1}, {"b": True, "a": "1"}):
        assert request_key("run", params(flags=other, rows=[{"x": [1, 2]}], env={"A": b"\xff"})) != key


def test_rows_are_not_copied() -> None:
    """They would all be freed at once: those of the message are let go in steps."""
    row = {"x": 1}
    read = params(rows=[row])
    assert read.rows is not None
    assert read.rows[0] is row


def test_one_that_did_not_name_itself_has_no_key() -> None:
    assert request_key("status", StatusParams()) is None
    assert request_key("run", params(request_id=None)) is None


@pytest.mark.parametrize("rows", [[{b"x": 1}], [{"x": 1, b"y": 2}], [{"x": {b"y": 2}}]])
def test_names_that_are_no_text_are_invalid(rows: list[Any]) -> None:
    with pytest.raises(InvalidError, match="the names in a map are text"):
        request_key("run", params(rows=rows))
