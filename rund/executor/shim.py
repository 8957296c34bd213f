"""The shim: one small process per attempt that outlives the daemon and knows the trial's end exactly.

Order of its deeds, on which recovery rests:

1. It is born with all signals blocked and the locked ``shim.lock``, which is free again just when it is gone.
2. It takes the exit record's place on the disk, then forks the trial behind a gate.
3. It writes ``started``, then opens the gate: no ``started`` and free locks prove that the trial never ran.
4. SIGTERM to it is `stop`, at any time; other signals mean nothing to it.

It is forked from the fork server and runs for as long as the trial: nothing slow is imported here, and nothing at all
is imported later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

from rund.clock import now
from rund.executor.locks import boot_id
from rund.executor.output_bound import OutputBound
from rund.executor.processes import start_time
from rund.executor.shim_records import AttemptFiles
from rund.executor.shim_request import ShimRequest, decode_request
from rund.executor.shim_supervisor import Supervisor
from rund.executor.shim_trial import become_trial

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def run_shim(request: bytes, lock: int) -> None:
    """Be the shim of an encoded request; never returns.

    All signals must be blocked; ``lock`` is the locked ``shim.lock``.
    """
    try:
        _stand_alone(lock)
        _run_attempt(decode_request(request))
    except BaseException as error:  # noqa: BLE001 - there is nobody above; what went wrong stays in the lock file
        with contextlib.suppress(OSError):
            os.write(lock, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        os._exit(1)
    os._exit(0)


def name_process(name: bytes) -> None:
    """Set what ``ps`` and ``top`` call this process."""
    _prctl(_PR_SET_NAME, name, 0, 0, 0)


def _stand_alone(lock: int) -> None:
    os.setsid()
    os.chdir("/")
    _close_all_but(lock)
    name_process(b"rund-shim")
    if _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "it cannot be a subreaper")


def _close_all_but(kept: int) -> None:
    with os.scandir("/proc/self/fd") as entries:
        numbers = [int(entry.name) for entry in entries]
    for number in numbers:
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(number)


def _run_attempt(request: ShimRequest) -> None:
    files = AttemptFiles(request.directory)
    gate, opener = os.pipe()
    fault_reader, fault_writer = os.pipe()
    fault = _ExecFault(fault_reader)
    trial = os.fork()
    if trial == 0:
        os.close(opener)
        become_trial(request, gate=gate, faults=fault_writer, output=files.output, trial_lock=files.trial_lock)
    os.close(gate)
    os.close(fault_writer)
    files.release_to_trial()

    boot = boot_id()
    started = now()
    files.write_start(_start_fields(request, boot=boot, trial=trial, started=started))
    identity = {"token": request.token, "boot_id": boot, "started": started}
    supervisor = Supervisor(
        trial,
        grace=request.grace,
        bound=OutputBound(files.output, directory=files.directory, limit=request.output_limit),
        record=lambda end: files.write_exit(identity | fault.fields() | end),
    )
    if signal.SIGTERM in signal.sigpending():
        supervisor.stop()  # before the gate is closed, so that it ends by the signal
    else:
        os.write(opener, b"g")
    os.close(opener)
    supervisor.supervise()


def _start_fields(request: ShimRequest, *, boot: str, trial: int, started: float) -> dict[str, object]:
    return {
        "token": request.token,
        "boot_id": boot,
        "shim_pid": os.getpid(),
        "shim_start_time": start_time(os.getpid()),
        "trial_pid": trial,
        "trial_start_time": start_time(trial),
        "grace": request.grace,
        "started": started,
        "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
    }


class _ExecFault:
    """What kept the trial from being executed: read from a pipe that its execution closes."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._words: list[str] | None = None

    def fields(self) -> dict[str, object]:
        """To be asked after the trial's end, as often as is wanted."""
        if self._words is None:
            self._words = os.read(self._pipe, 64).decode().split()
        if not self._words:
            return {"exec_step": None, "exec_errno": None}
        return {"exec_step": self._words[0], "exec_errno": int(self._words[1])}
