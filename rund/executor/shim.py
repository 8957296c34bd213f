"""The shim: a small process that outlives the daemon, and knows exactly how each of its attempts ends.

Order of its deeds, on which recovery rests:

1. It is born with all signals blocked and the locked ``shim.lock``, which is free again when it has done with the
   attempt, or is gone.
2. It takes the exit record's place on the disk.
3. It writes ``started``, then executes the trial: no ``started`` and free locks prove that the trial never ran.
4. SIGTERM to it is `stop`, at any time; other signals mean nothing to it.
5. When the trial has ended and is recorded, and nothing of it is left, it lets go of the lock.  Then it asks by its
   leash for another attempt, and ends when that is closed: when its daemon needs it no more, or has ended.

It is forked from the fork server and runs for as long as the trial: nothing slow is imported here, and nothing at all
is imported later.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import signal
import socket

from rund.clock import boottime
from rund.executor.locks import boot_id
from rund.executor.output_bound import OutputBound
from rund.executor.processes import SHIM, start_time
from rund.executor.shim_records import AttemptFiles
from rund.executor.shim_request import MOST_AGAIN, ShimRequest, decode_request
from rund.executor.shim_supervisor import Supervisor
from rund.executor.shim_trial import NotExecutedError, execute_trial

_NOT_EXECUTED = 127 << 8  # the wait status that shells give what cannot be executed
_ROOM = socket.CMSG_SPACE(array.array("i").itemsize)  # bytes, for one descriptor
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def run_shim(request: bytes, lock: int, leash: socket.socket | None = None) -> None:
    """Be the shim of an encoded request, and of those that come by ``leash`` later; never returns.

    All signals must be blocked, and nothing else be open than ``lock``, the locked ``shim.lock``.
    """
    try:
        _stand_alone()
        born = start_time(os.getpid())
        following: tuple[bytes, int] | None = (request, lock)
        while following is not None:
            request, lock = following
            token = _run_attempt(decode_request(request), born)
            os.close(lock)
            # What a long request took of memory would be told as the peak of the attempts that come after it.
            following = _ask_for_another(leash, token) if leash is not None and len(request) <= MOST_AGAIN else None
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


def _ask_for_another(leash: socket.socket, token: str) -> tuple[bytes, int] | None:
    """The next request and its lock, None if there is none; ``token`` is of the attempt that has ended."""
    if _told_to_stop():
        return None  # it came too late for the one that has ended, and is meant for no other
    try:
        leash.send(token.encode())
        request, ancillary, flags, _ = leash.recvmsg(MOST_AGAIN, _ROOM, socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return None
    locks = array.array("i")
    for _, _, passed in ancillary:
        locks.frombytes(passed)
    if not request or not locks or flags & socket.MSG_TRUNC:
        return None
    told = signal.sigtimedwait({signal.SIGTERM}, 0)
    if told is not None:
        # Whoever else sent it while it had no attempt did not mean the next one.  Nothing of that has been done.
        if told.si_pid != decode_request(request).daemon:
            return None
        os.kill(os.getpid(), signal.SIGTERM)  # it stays pending until the attempt is looked after
    return request, locks[0]


def _run_attempt(request: ShimRequest, born: int) -> str:
    """See an attempt to its end; answers its token.  ``born`` is this process's start time."""
    files = AttemptFiles(request.directory)
    files.write_start(_start_fields(request, born))
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
    files.close()
    return request.token


def _told_to_stop() -> bool:
    return signal.SIGTERM in signal.sigpending()


def _start_fields(request: ShimRequest, born: int) -> dict[str, object]:
    return {
        "token": request.token,
        "boot_id": boot_id(),
        "shim_pid": os.getpid(),
        "shim_start_time": born,
        "grace": request.grace,
        "started": request.started,
        "boottime": boottime(),
    }
