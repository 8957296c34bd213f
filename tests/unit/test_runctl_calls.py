"""What the Python client sends."""

from __future__ import annotations

import os
import sys
from array import array
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from runctl.calls import names_of, plain_value, restart_params, run_params
from runctl.environment import sent_environment
from runctl.run_view import RunView, take_attrs

NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: b"=" not in name and b"\0" not in name)


@given(st.dictionaries(NAMES, st.binary(max_size=8)))
def test_an_environment_is_sent_exactly_but_for_names_that_are_not_text(environ: dict[bytes, bytes]) -> None:
    sent = sent_environment(environ, first=None)
    encoded = {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in sent.items()}
    assert encoded == {name: value for name, value in environ.items() if is_text(name)}


def is_text(name: bytes) -> bool:
    return name.decode("utf-8", "ignore").encode() == name


def test_the_folder_asked_for_stands_first_in_path() -> None:
    assert sent_environment({b"PATH": b"/bin:\xff"}, first="/venv/bin") == {"PATH": b"/venv/bin:/bin:\xff"}
    assert sent_environment({}, first="/venv/bin") == {"PATH": "/venv/bin"}


def test_a_run_is_asked_for_with_this_interpreter_and_folder() -> None:
    params = run_params(Path("train.py"), {"flags": {"lr": 0.1}})
    assert params["operation"] == "train.py"
    assert params["flags"] == {"lr": 0.1}
    assert params["cwd"] == str(Path.cwd())
    assert params["env"]["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_an_environment_and_folder_that_are_given_stand_as_they_are() -> None:
    params = run_params("train.py", {"env": {"A": "b"}, "cwd": Path("/project")})
    assert (params["env"], params["cwd"]) == ({"A": "b"}, "/project")


def test_a_restart_sends_an_environment_only_to_be_taken() -> None:
    assert restart_params("1f2e", {"needed": True}) == {
        "run": "1f2e",
        "needed": True,
        "cwd": str(Path.cwd()),
        "env": None,
    }
    assert "PATH" in restart_params("1f2e", {"update_env": True})["env"]


def test_values_of_libraries_become_plain_ones() -> None:
    assert plain_value({"a": (1, 2.0), "b": Path("x"), "c": range(2), "d": array("d", [0.5])}) == {
        "a": [1, 2.0],
        "b": "x",
        "c": [0, 1],
        "d": [0.5],
    }


def test_runs_are_named_by_themselves_or_their_ids_and_take_what_is_told_of_them() -> None:
    run = RunView({"id": "6d0f", "status": "pending"})
    assert names_of(["1f2e", run]) == ["1f2e", "6d0f"]
    take_attrs(["1f2e", run], [{"id": "1f2e", "status": "error"}, {"id": "6d0f", "status": "completed"}])
    assert run.status == "completed"
