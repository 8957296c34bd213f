"""Finds the operation that a user names: an entry of ``rund.toml``, a path, or a program on the PATH, in this order."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rund.errors import InvalidError
from rund.model.operation import Operation, OperationKind
from rund.operations.declared_flags import declared_flags
from rund.operations.given import is_flag_name
from rund.operations.nearby import nearby_name
from rund.operations.program import find_program
from rund.operations.project_file import NAME as PROJECT_FILE
from rund.operations.project_file import Entry, read_project
from rund.operations.regular_file import path_exists, read_regular
from rund.operations.script_flags import decode_source, read_flags
from rund.operations.source_scan import FILE_LIMIT

MAX_SCRIPT: Final = 10_000_000  # bytes
_MARKERS: Final = (PROJECT_FILE, "pyproject.toml", ".git")
_PYTHON_SHEBANG = re.compile(rb"#![^\n]*\bpython[0-9.]*\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An operation, and where its source is."""

    operation: Operation
    root: Path | None  # the folder that the source is taken from; None: it is run in place
    script: str | None  # the script or program in ``root``, which the source always has
    marked: bool  # root is a project: all of it is source, not only what lies beside the script
    inputs: tuple[str, ...] = ()  # that ``rund.toml`` links into each run's directory


def find_operation(text: str, *, cwd: Path, env: Mapping[str, str]) -> Found:
    """The operation that ``text`` names for a client in the folder ``cwd`` (absolute) with the environment ``env``.

    Raises `InvalidError` with the path, and the line or key, for what is not there or cannot be read.
    """
    if not text.strip() or "\0" in text:
        raise InvalidError(
            "no operation is named: give a script, a program or an entry of rund.toml", field="operation"
        )
    project = _nearest(cwd, (PROJECT_FILE,))
    entries: dict[str, Entry] = {}
    if project is not None:
        path = project / PROJECT_FILE
        entries = read_project(decode_source(read_regular(path, MAX_SCRIPT), str(path)), str(path))
        if text in entries:
            return _from_entry(entries[text], project, cwd, env)
    path = Path(os.path.abspath(cwd / text))  # noqa: PTH100 - links are not followed: the project is where it is named
    found = _from_path(text, path, cwd, env)
    if found is not None:
        return found
    program = find_program(text, env) if "/" not in text else None
    if program is not None:
        return _in_place(text, program, target=text, cwd=cwd)
    raise _missing(text, path, entries)


def _from_path(text: str, path: Path, cwd: Path, env: Mapping[str, str]) -> Found | None:
    """The script or executable at ``path``; None if there is none, or only one of a program's name."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidError(f"{path}: {error.strerror or error}", field="operation") from None
    bare = "/" not in text and find_program(text, env) is not None
    if not stat.S_ISREG(mode):
        if bare:
            return None
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise InvalidError(f"{path} is {what}: name a script or a program", field="operation")
    root = _nearest(path.parent, _MARKERS)
    # Named by its place in the project: the same wherever the client stands.
    shown = path.relative_to(root or path.parent).as_posix()
    if _is_python(path):
        return _from_script(shown, path, cwd, target=str(path))
    if not os.access(path, os.X_OK):
        if bare:
            return None
        raise InvalidError(
            f"{path} is neither a Python script nor executable: make it executable (chmod +x)", field="operation"
        )
    if root is None or path.stat().st_size >= FILE_LIMIT:
        return _in_place(shown, str(path), target=str(path), cwd=cwd)
    return _in_project(shown, path, root, cwd, target=str(path))


def _is_python(path: Path) -> bool:
    if path.suffix == ".py":
        return True
    try:
        with path.open("rb") as file:
            return _PYTHON_SHEBANG.match(file.read(256)) is not None
    except OSError:
        return False  # what cannot be read may still be executed


def _from_script(name: str, path: Path, cwd: Path, *, target: str) -> Found:
    flags = read_flags(decode_source(read_regular(path, MAX_SCRIPT), str(path)), str(path))
    project = _nearest(path.parent, _MARKERS)
    root = project or path.parent
    entry = path.relative_to(root).as_posix()
    operation = Operation(
        name=name,
        kind=OperationKind.PYTHON,
        entry=entry,
        flags=flags,
        project_dir=str(root),
        cwd=str(cwd),
        target=target,
    )
    return Found(operation=operation, root=root, script=entry, marked=project is not None)


def _in_project(name: str, path: Path, root: Path, cwd: Path, *, target: str) -> Found:
    entry = path.relative_to(root).as_posix()
    operation = Operation(
        name=name,
        kind=OperationKind.EXECUTABLE,
        entry=entry,
        project_dir=str(root),
        cwd=str(cwd),
        target=target,
    )
    return Found(operation=operation, root=root, script=entry, marked=True)


def _in_place(name: str, program: str, *, target: str, cwd: Path) -> Found:
    operation = Operation(
        name=name,
        kind=OperationKind.EXECUTABLE,
        entry=program,
        project_dir=str(_nearest(cwd, _MARKERS) or cwd),
        cwd=str(cwd),
        target=target,
    )
    return Found(operation=operation, root=None, script=None, marked=False)


def _from_entry(entry: Entry, project: Path, cwd: Path, env: Mapping[str, str]) -> Found:
    """The operation of the ``rund.toml`` in ``project``, whose folder is its source."""
    file = str(project / PROJECT_FILE)
    if entry.script is not None:
        path = _in_folder(project, entry.script, f"{file}: operations.{entry.name}.script")
        found = _from_script(entry.name, path, cwd, target=entry.name)
    else:
        program = entry.command[0]
        if "/" in program and not program.startswith("/"):
            path = _in_folder(project, program, f"{file}: operations.{entry.name}.command")
            found = _in_project(entry.name, path, project, cwd, target=entry.name)
        else:
            place = program if program.startswith("/") else find_program(program, env)
            if place is None:
                raise InvalidError(
                    f"{file}: operations.{entry.name}.command: there is no {program} on the PATH", field="operation"
                )
            found = _in_place(entry.name, place, target=entry.name, cwd=cwd)
    script = None if found.root is None else _entry_path(found, project)
    operation = replace(
        found.operation,
        entry=script or found.operation.entry,
        arguments=entry.command[1:],
        flags=declared_flags(found.operation.flags, entry.flags, path=file, operation=entry.name),
        project_dir=str(project),
    )
    return Found(operation=operation, root=project, script=script, marked=True, inputs=entry.inputs)


def _entry_path(found: Found, project: Path) -> str:
    """The script's path in ``project``, although a nearer project holds it."""
    return (Path(found.operation.project_dir) / found.operation.entry).relative_to(project).as_posix()


def _in_folder(folder: Path, text: str, key: str) -> Path:
    """The file ``text`` in ``folder``.  Raises `InvalidError` with ``key`` if it is not there or lies outside."""
    path = Path(os.path.abspath(folder / text))  # noqa: PTH100 - links are not followed
    if not path.is_relative_to(folder):
        raise InvalidError(f"{key}: {text} lies outside of {folder}", field="operation")
    if not path.is_file():
        raise InvalidError(f"{key}: there is no file {path}{_hint(path, ())}", field="operation")
    return path


def _missing(text: str, path: Path, entries: Mapping[str, Entry]) -> InvalidError:
    name, separator, _ = text.partition("=")
    if separator and is_flag_name(name):
        return InvalidError(f"{text} is a flag: name the operation before it", field="operation")
    return InvalidError(f"there is no {path}{_hint(path, entries)}", field="operation")


def _hint(path: Path, names: Collection[str]) -> str:
    near = nearby_name(path, names)
    return "" if near is None else f": did you mean {near}?"


def _nearest(folder: Path, markers: tuple[str, ...]) -> Path | None:
    """The nearest of ``folder`` and its parents that has one of ``markers``."""
    for parent in (folder, *folder.parents):
        if any(path_exists(parent / marker) for marker in markers):
            return parent
    return None
