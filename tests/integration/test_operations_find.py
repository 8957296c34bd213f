"""Finding operations, interpreters, inputs and commits in real folders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rund.errors import InvalidError
from rund.model.operation import FlagType, OperationKind, Passing
from rund.operations.commit import read_commit
from rund.operations.find import Found, find_operation
from rund.operations.hints import input_hint
from rund.operations.inputs import find_inputs


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def find(text: str, cwd: Path, path: str = "/usr/bin:/bin") -> Found:
    return find_operation(text, cwd=cwd, env={"PATH": path})


def test_a_script_beside_nothing_is_its_own_source(tmp_path: Path):
    write(tmp_path / "echo.py", "x = 1.0\n")
    found = find("echo.py", tmp_path)
    assert (found.root, found.script, found.marked) == (tmp_path, "echo.py", False)
    assert found.operation.name == "echo.py"
    assert found.operation.kind is OperationKind.PYTHON
    assert found.operation.target == str(tmp_path / "echo.py")
    assert [flag.name for flag in found.operation.flags] == ["x"]


@pytest.mark.parametrize("marker", ["pyproject.toml", "rund.toml", ".git"])
def test_the_nearest_marked_parent_is_the_root(tmp_path: Path, marker: str):
    write(tmp_path / "pyproject.toml", "")
    write(tmp_path / "inner" / marker, "")
    write(tmp_path / "inner" / "src" / "train.py", "x = 1\n")
    found = find("../src/train.py", tmp_path / "inner" / "src")
    assert (found.root, found.script, found.marked) == (tmp_path / "inner", "src/train.py", True)
    assert found.operation.name == "src/train.py", "by its place in the project, wherever the client stands"
    assert find("src/train.py", tmp_path / "inner").operation.name == "src/train.py"


def test_a_script_is_known_by_its_shebang_too(tmp_path: Path):
    write(tmp_path / "train", "#!/usr/bin/env python3\nx = 1\n")
    assert find("train", tmp_path).operation.kind is OperationKind.PYTHON


def test_executables_are_taken_with_their_project_or_run_in_place(tmp_path: Path):
    write(tmp_path / "lone" / "run.sh", "#!/bin/sh\n", 0o755)
    write(tmp_path / "project" / "rund.toml", "")
    write(tmp_path / "project" / "bin" / "run.sh", "#!/bin/sh\n", 0o755)
    lone = find("./run.sh", tmp_path / "lone")
    assert (lone.root, lone.operation.entry) == (None, str(tmp_path / "lone" / "run.sh"))
    inside = find("bin/run.sh", tmp_path / "project")
    assert (inside.root, inside.script, inside.operation.entry) == (tmp_path / "project", "bin/run.sh", "bin/run.sh")
    write(tmp_path / "project" / "large", "#!/bin/sh\n" + "#" * 1_000_000, 0o755)
    assert find("./large", tmp_path / "project").root is None


def test_a_program_is_found_on_the_path_of_the_client(tmp_path: Path):
    program = write(tmp_path / "bin" / "simulate", "#!/bin/sh\n", 0o755)
    found = find("simulate", tmp_path, str(tmp_path / "bin"))
    assert (found.root, found.operation.entry, found.operation.target) == (None, str(program), "simulate")
    (tmp_path / "simulate").mkdir()
    assert find("simulate", tmp_path, str(tmp_path / "bin")).operation.entry == str(program)


def test_an_entry_of_the_project_file_comes_before_a_path(tmp_path: Path):
    write(
        tmp_path / "rund.toml",
        """
        [operations.train]
        script = "src/train.py"
        inputs = ["data"]
        flags.lr = 5
        flags.batch-size = { type = "float" }
        flags.extra = { type = "bool", required = true }
        [operations.simulate]
        command = "sh ./sim.sh 'a b'"
        flags.n = { type = "int", choices = [1, 2], default = 2 }
        [operations.local]
        command = ["./sim.sh"]
        """,
    )
    write(tmp_path / "src" / "pyproject.toml", "")
    write(tmp_path / "src" / "train.py", "lr = 0.1\nbatch_size = 3\nother = 'a'\n")
    write(tmp_path / "sub" / "train", "", 0o755)
    write(tmp_path / "sim.sh", "", 0o755)
    found = find("train", tmp_path / "sub")
    assert (found.root, found.script, found.inputs) == (tmp_path, "src/train.py", ("data",))
    assert found.operation.target == "train"
    told = {flag.name: (flag.default, flag.type, flag.declared, flag.passing) for flag in found.operation.flags}
    assert told == {
        "lr": (5.0, FlagType.FLOAT, False, Passing.LITERAL),
        "batch_size": (3.0, FlagType.FLOAT, True, Passing.LITERAL),
        "other": ("a", FlagType.STR, False, Passing.LITERAL),
        "extra": (None, FlagType.BOOL, True, Passing.ENVIRONMENT),
    }
    simulate = find("simulate", tmp_path).operation
    assert simulate.entry.endswith("/sh")
    assert simulate.arguments == ("./sim.sh", "a b")
    assert simulate.flags[0].choices == (1, 2)
    assert find("local", tmp_path).operation.entry == "sim.sh"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[operations.a]\n", "operations.a"),
        ("[operations.a]\nscript = 'a'\ncommand = 'b'\n", "operations.a"),
        ("[operations.a]\nscript = 3\n", "operations.a.script"),
        ("[operations.a]\nscript = '../t.py'\n", "operations.a.script"),
        ("[operations.a]\nscript = 'none.py'\n", "operations.a.script"),
        ("[operations.a]\ncommand = []\n", "operations.a.command"),
        ("[operations.a]\ncommand = 'no-such-program'\n", "operations.a.command"),
        ("[operations.a]\nscript = 't.py'\nspeed = 3\n", "operations.a.speed"),
        ("[operations.a]\nscript = 't.py'\nflags.x = {kind = 3}\n", "operations.a.flags.x.kind"),
        ("[operations.a]\nscript = 't.py'\nflags.x = {type = 'number'}\n", "operations.a.flags.x.type"),
        ("[operations.a]\nscript = 't.py'\nflags.x = {type = 'int', default = 'a'}\n", "operations.a.flags.x"),
        ("[operations.a]\nscript = 't.py'\nflags.x = 1979-05-27\n", "operations.a.flags.x.default"),
        ("[operations.a]\nscript = 't.py'\nflags.'a b' = 1\n", "operations.a.flags.a b"),
        ("[operations.a]\nscript = 't.py'\ninputs = 'data'\n", "operations.a.inputs"),
        ("[settings]\n", "settings"),
        ("operations = 3\n", "operations"),
        ("[operations\n", "line 1"),
    ],
)
def test_a_wrong_project_file_is_refused_with_file_and_key(tmp_path: Path, text: str, key: str):
    write(tmp_path / "rund.toml", text)
    write(tmp_path / "t.py", "y = 1\n")
    with pytest.raises(InvalidError) as caught:
        find("a", tmp_path)
    assert caught.value.message.startswith(f"{tmp_path}/rund.toml: ")
    assert key in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no operation"),
        ("trian.py", "did you mean train.py"),
        ("x=3", "is a flag"),
        ("folder", "is a folder"),
        ("fifo", "not a regular file"),
        ("notes.txt", "chmod"),
        ("broken.py", "broken.py, line 2"),
        ("train.py/deeper", "there is no"),
        ("a" * 5000, "too long"),
    ],
)
def test_what_is_not_an_operation_is_refused_with_the_reason(tmp_path: Path, text: str, says: str):
    write(tmp_path / "train.py", "")
    write(tmp_path / "notes.txt", "")
    write(tmp_path / "broken.py", "x = 1\nif\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidError) as caught:
        find(text, tmp_path)
    assert says in caught.value.message.lower()
    assert caught.value.field == "operation"


def test_a_script_that_is_a_fifo_is_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "t.py")
    with pytest.raises(InvalidError, match="not a regular file"):
        find("t.py", tmp_path)


def test_inputs_are_linked_at_their_path_in_the_project(tmp_path: Path):
    write(tmp_path / "data" / "a.csv", "")
    write(tmp_path / "sub" / "own.csv", "")
    sub = tmp_path / "sub"
    found = find_inputs(["data", "own.csv", "../data/a.csv", str(sub / "own.csv")], sub, tmp_path)
    assert found == (
        ("data", str(tmp_path / "data")),
        ("own.csv", str(sub / "own.csv")),
        ("sub/own.csv", str(sub / "own.csv")),
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../../x", "dta", "", ".", "a\0", ".."])
def test_an_input_outside_of_the_project_or_missing_is_refused(tmp_path: Path, path: str):
    write(tmp_path / "data" / "a.csv", "")
    with pytest.raises(InvalidError) as caught:
        find_inputs([path], tmp_path, tmp_path)
    assert caught.value.field == "inputs"


def test_a_missing_file_that_the_project_has_gets_a_hint(tmp_path: Path):
    write(tmp_path / "rund.toml", "")
    write(tmp_path / "data" / "train.csv", "")
    write(tmp_path / "src" / "own" / "own.csv", "")
    write(tmp_path / "src" / "t.py", "")
    operation = find("src/t.py", tmp_path).operation
    error = "FileNotFoundError: [Errno 2] No such file or directory: "
    assert input_hint(f"{error}'data/train.csv'\n", operation) == (
        "data/train.csv is in the project, not in the run's own directory: add --input data"
    )
    assert "run from there and add --input own" in (input_hint(f"{error}'own/own.csv'", operation) or "")
    assert input_hint(f"{error}'nowhere.csv'", operation) is None


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_git(tmp_path: Path):
    repository = tmp_path / "r"
    repository.mkdir()
    assert read_commit(repository) is None
    git(repository, "init")
    assert read_commit(repository) is None
    git(repository, "commit", "--allow-empty", "-m", "one")
    commit = git(repository, "rev-parse", "HEAD")
    write(repository / "sub" / "a.py", "")
    assert read_commit(repository / "sub") == commit
    git(repository, "pack-refs", "--all")
    assert read_commit(repository) == commit
    git(repository, "worktree", "add", "../w", "-b", "other")
    git(tmp_path / "w", "commit", "--allow-empty", "-m", "two")
    assert read_commit(tmp_path / "w") == git(tmp_path / "w", "rev-parse", "HEAD") != commit
    git(repository, "checkout", "--detach")
    assert read_commit(repository) == commit
    write(repository / ".git" / "HEAD", "ref: ../../secret")
    assert read_commit(repository) is None
