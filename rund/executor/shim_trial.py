"""Executes the trial: nothing of the shim but the trial's lock and its output goes with it.

The shim loads this: nothing slow is imported here.
"""

# ruff: noqa: PTH110, PTH118 - pathlib would cost each shim memory

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator

from rund.executor.shim_request import ShimRequest

_OOM_SCORE = b"500"  # short of memory, the kernel ends trials rather than shims and the daemon
_PYTHON = "python3"
_NAMES = {_PYTHON: (_PYTHON, "python")}  # where there is none of the first name, one of the second is meant, too

_SIGNALS = tuple(int(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class NotExecutedError(Exception):
    """The trial could not be executed: what failed (see `rund.model.facts.ExitRecord`), and its errno."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(step, number)
        self.step = step
        self.number = number


def execute_trial(request: ShimRequest, *, output: int, trial_lock: int) -> int:
    """The number of the trial's process, which is leader of a session of its own, and has been executed.

    Raises `NotExecutedError`, and `OSError` where no process may be made just now; then nothing was executed.
    It returns only when the trial has been executed: this process lends it its memory until then, so that none is
    copied, and `os.posix_spawn` tells what went wrong.
    """
    try:
        os.chdir(request.cwd)  # where the trial finds itself, and relative names are looked up
    except OSError as error:
        raise NotExecutedError("cwd", error.errno or errno.EINVAL) from None
    try:
        os.set_inheritable(trial_lock, True)  # noqa: FBT003 - it takes no keywords
        with _raised_oom_score():
            return _execute(request, output)
    except ValueError:  # a null byte
        raise NotExecutedError("program", errno.EINVAL) from None
    finally:
        os.chdir("/")


def _execute(request: ShimRequest, output: int) -> int:
    named, *arguments = request.argv
    actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    number = errno.ENOENT
    for path in find_candidates(named, request.environment.get("PATH", os.defpath)):
        try:
            return os.posix_spawn(
                path,
                (path, *arguments),
                request.environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=_SIGNALS,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.exists(path):
                raise NotExecutedError("interpreter", error.errno or errno.ENOENT) from None
        except OSError as error:
            if error.errno == errno.EAGAIN:  # as many processes as may be: of no program
                raise
            # Like a shell: one that may not be executed counts only if no later folder has a better one.
            number = error.errno or errno.EINVAL
    raise NotExecutedError("python" if named == _PYTHON and number == errno.ENOENT else "program", number)


@contextlib.contextmanager
def _raised_oom_score() -> Iterator[None]:
    """Give what is started meanwhile the trials' score, if that is more than this process has."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        own = os.read(descriptor, 16)
        raised = int(own) < int(_OOM_SCORE) and _written(descriptor, _OOM_SCORE)
        yield
        if raised:
            _written(descriptor, own)
    finally:
        os.close(descriptor)


def _written(descriptor: int, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return os.write(descriptor, content) > 0
    return False


def find_candidates(program: str, search: str) -> list[str]:
    """Where ``program`` may be: a name without a slash in each folder of the PATH ``search``.

    Only the shim looks there: a folder that hangs, of a disk that is out of reach, hangs no more than its trial.
    """
    if not program:
        return []
    if "/" in program:
        return [program]
    # The run's directory is no place of programs, whatever the PATH says.
    folders = [folder for folder in search.split(":") if folder.startswith("/")]
    return [os.path.join(folder, name) for name in _NAMES.get(program, (program,)) for folder in folders]
