"""The params of the Python client's calls, the same for the sync and the async one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from runctl.environment import sent_environment
from runctl.places import working_folder

OUTPUT_PATIENCE = 60.0  # seconds that one request waits for output; then it is asked again


class _Options(TypedDict, total=False):
    """What both `RunOptions` and `RestartOptions` have; what is not given is the daemon's to choose."""

    flags: Mapping[str, object]
    """Typed values; a list is a list of values to run with, a str always text."""
    args: Sequence[str]
    """``NAME=VALUE`` texts, read as on the command line; instead of ``flags``."""
    random_seed: int
    slots: int
    """How many slots it takes while it runs."""
    priority: int
    stage: bool
    """Make it ready and start nothing."""
    needed: bool
    """Do nothing if it is completed with these flags."""
    rows: Sequence[Mapping[str, object]]
    """A batch's trials, or grids of them: flags by name, one map each."""
    optimizer: str
    """Of a batch: ``grid`` or ``random``."""
    retries: int
    """How often a trial that ends badly is started again by itself."""
    fail_fast: bool
    """Withdraw the trials that wait when one ends badly."""
    cwd: str | os.PathLike[str]
    """Where the operation, or a file of trials, is looked for; the working folder if not given."""
    force_flags: bool
    """Take flags that the operation does not know."""


class RunOptions(_Options, total=False):
    """What a run is made with."""

    label: str
    tags: Sequence[str]
    inputs: Sequence[str]
    """Files and folders of the project to link into the run's directory."""
    max_trials: int
    """Of a batch: how many trials at most; of random search how many, 20 if not given."""
    jobs: int
    """Of a batch: how many trials at once at most."""
    env: Mapping[str, str | bytes]
    """The run's environment; if not given this process's, with its interpreter's folder first in PATH."""


class RestartOptions(_Options, total=False):
    """What a run is restarted with."""

    max_trials: int | Literal["all"]
    """Of a batch: how many trials at most; ``all`` lifts it."""
    jobs: int | Literal["all"]
    """Of a batch: how many trials at once at most; ``all`` lifts it."""
    clean: bool
    """Empty its directory first."""
    update_source: bool
    """Take the script as it is today."""
    update_env: bool
    """Take this process's environment."""


class ListOptions(TypedDict, total=False):
    """Which runs are listed."""

    status: Sequence[str]
    operation: str
    label: str
    tag: str
    batch: str
    """The trials of this batch, in its order."""
    orphans: bool
    """Runs that a batch made and no longer lists; with ``batch``: that one."""
    trash: bool
    limit: int
    """No more than these, 20 if not given."""


def run_params(operation: str | os.PathLike[str], options: RunOptions) -> dict[str, Any]:
    """The params of ``run``."""
    given: dict[str, Any] = dict(options)
    env = given.pop("env", None)
    return {
        "operation": os.fspath(operation),
        **_plain(given),
        "cwd": _folder(given.get("cwd")),
        "env": client_environment() if env is None else dict(env),
    }


def restart_params(run: str, options: RestartOptions) -> dict[str, Any]:
    """The params of ``restart``."""
    env = client_environment() if options.get("update_env") else None
    return {"run": run, **_plain(dict(options)), "cwd": _folder(options.get("cwd")), "env": env}


def list_params(options: ListOptions) -> dict[str, Any]:
    """The params of ``list``."""
    return _plain(dict(options))


def _folder(given: str | os.PathLike[str] | None) -> str:
    return working_folder() if given is None else os.fspath(given)


def client_environment() -> dict[str, str | bytes]:
    """This process's environment; its interpreter's folder is first in PATH, so that runs have its packages."""
    return sent_environment(os.environb, first=str(Path(sys.executable).parent))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` as values that the wire carries."""
    return {name: plain_value(value) for name, value in options.items()}


def plain_value(value: object) -> object:
    """``value`` as the wire carries it: sequences and arrays as lists, paths as text, array scalars as numbers."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, Mapping):
        return {name: plain_value(item) for name, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    to_list = getattr(value, "tolist", None)  # of arrays and their scalars, whatever library they are of
    if to_list is not None:
        return to_list()
    if isinstance(value, Sequence | set | frozenset | range):
        return [plain_value(item) for item in value]
    return value


def names_of(runs: Sequence[object]) -> list[str]:
    """Runs, given as objects or by their ids, as their ids."""
    return [str(getattr(run, "id", run)) for run in runs]
