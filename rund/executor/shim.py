"""The shim: one small process per attempt that outlives the daemon and knows the trial's end exactly.

Order of its deeds, on which recovery rests:

1. It is born with all signals blocked and the locked ``shim.lock``, which is free again just when it is gone.
2. It takes the exit record's place on the disk.
3. It writes ``started``, then executes the trial: no ``started`` and free locks prove that the trial never ran.
4. SIGTERM to it is `stop`, at any time; other signals mean nothing to it.

It is forked from the fork server and runs for as long as the trial: nothing slow is imported here, and nothing at all
is imported later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from rund.clock import boottime
from rund.executor.locks import boot_id
from rund.executor.output_bound import OutputBound
from rund.executor.processes import SHIM, start_time
from rund.executor.shim_records import AttemptFiles
from rund.executor.shim_request import ShimRequest, decode_request
from rund.executor.shim_supervisor import Supervisor
from rund.executor.shim_trial import NotExecutedError, execute_trial

_NOT_EXECUTED = 127 << 8  # the wait status that shells give what cannot be executed
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def run_shim(request: bytes, lock: int) -> None:
    """Be the shim of an encoded request; never returns.

    All signals must be blocked, and nothing else be open than ``lock``, the locked ``shim.lock``.
    """
    try:
        _stand_alone()
        _run_attempt(decode_request(request))
    except BaseException as error:  # noqa: BLE001 - there is nobody above; what went wrong stays in the lock file
        with contextlib.suppress(OSError):
            os.write(lock, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        os._exit(1)
    os._exit(0)


def name_process(name: bytes) -> None:
    """Set what ``ps`` and ``top`` call this process."""
    _prctl(_PR_SET_NAME, name, 0, 0, 0)


def _stand_alone() -> None:
    os.setsid()
    os.chdir("/")
    name_process(SHIM)
    if _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "it cannot be a subreaper")


def _run_attempt(request: ShimRequest) -> None:
    files = AttemptFiles(request.directory)
    files.write_start(_start_fields(request))
    fields: dict[str, object] = {"token": request.token, "boot_id": boot_id(), "started": request.started}
    fields |= {"exec_step": None, "exec_errno": None}
    supervisor = Supervisor(
        grace=request.grace,
        bound=OutputBound(files.output, directory=files.directory, limit=request.output_limit),
        time_at=request.time_at,
        record=lambda end: files.write_exit(fields | end),
    )
    if _told_to_stop():
        supervisor.end_unexecuted(signal.SIGTERM)
    else:
        try:
            supervisor.trial = execute_trial(request, output=files.output, trial_lock=files.trial_lock)
        except NotExecutedError as error:
            fields |= {"exec_step": error.step, "exec_errno": error.number}
            supervisor.end_unexecuted(_NOT_EXECUTED)
        except OSError:
            files.withdraw_start()
            raise
    files.release_to_trial()
    if _told_to_stop():
        supervisor.stop()  # before its end is looked for: it may have been killed because its execution hung
    supervisor.supervise()


def _told_to_stop() -> bool:
    return signal.SIGTERM in signal.sigpending()


def _start_fields(request: ShimRequest) -> dict[str, object]:
    return {
        "token": request.token,
        "boot_id": boot_id(),
        "shim_pid": os.getpid(),
        "shim_start_time": start_time(os.getpid()),
        "grace": request.grace,
        "started": request.started,
        "boottime": boottime(),
    }
