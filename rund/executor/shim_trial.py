"""The forked process that becomes the trial: nothing of rund but its lock goes with it.

The shim loads this: nothing slow is imported here.
"""

# ruff: noqa: PTH110, PTH118 - pathlib would cost each shim memory

from __future__ import annotations

import contextlib
import errno
import os
import signal

from rund.executor.shim_request import ShimRequest

_OOM_SCORE = b"500"  # short of memory, the kernel ends trials rather than shims and the daemon
_NOT_EXECUTED = 127  # the exit status that shells use for it


class _StepError(Exception):
    """A step before or of the execution that failed."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(step, number)
        self.step = step
        self.number = number


def become_trial(request: ShimRequest, *, gate: int, faults: int, output: int, trial_lock: int) -> None:
    """Wait for the gate to open, then execute the trial; never returns.

    If the gate is closed unopened nothing is executed.  ``faults`` receives ``STEP ERRNO`` if it cannot be executed.
    """
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(trial_lock, True)  # noqa: FBT003 - it takes no keywords
        _raise_oom_score()
        _reset_signals()
        if os.read(gate, 1):
            _execute(request)
    except _StepError as error:
        os.write(faults, f"{error.step} {error.number}".encode())
    except OSError as error:
        os.write(faults, f"program {error.errno or errno.EINVAL}".encode())
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as a second shim
        os.write(faults, f"program {errno.EINVAL}".encode())
    finally:
        os._exit(_NOT_EXECUTED)


def _raise_oom_score() -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        try:
            if int(os.read(descriptor, 16)) < int(_OOM_SCORE):
                os.write(descriptor, _OOM_SCORE)
        finally:
            os.close(descriptor)


def _reset_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _execute(request: ShimRequest) -> None:
    try:
        os.chdir(request.cwd)
    except OSError as error:
        raise _StepError("cwd", error.errno or errno.EINVAL) from None
    program = request.argv[0]
    fault = OSError(errno.ENOENT, "not found")
    for path in _candidates(program, request.environment.get("PATH", os.defpath)):
        try:
            os.execve(path, tuple(request.argv), request.environment)  # noqa: S606 - a shell would stand between
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.exists(path):
                raise _StepError("interpreter", error.errno or errno.ENOENT) from None
        except OSError as error:
            # Like a shell: one that may not be executed counts only if no later folder has a better one.
            fault = error
    raise fault


def _candidates(program: str, search: str) -> list[str]:
    if not program:
        return []
    if "/" in program:
        return [program]
    return [os.path.join(folder, program) for folder in search.split(":")]
