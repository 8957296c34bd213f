"""Watches the system calls of one process by which it changes something, and kills it at one of them.

Strace counts a call for each thread apart (``when=N``), so a thread's third call hides behind another's; here one number
names one instant of the whole process.  Only its threads are followed, not the processes that it starts; or only what it
forks.  Calls that are
not in `CHANGES` change nothing that outlives the process: to be killed at one of them is to be killed at the next change.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from collections.abc import Callable
from typing import Final, NamedTuple

_LINUX_X86_64: Final = {
    1: "write",
    18: "pwrite64",
    20: "writev",
    40: "sendfile",
    44: "sendto",
    46: "sendmsg",
    49: "bind",
    50: "listen",
    56: "clone",
    57: "fork",
    58: "vfork",
    62: "kill",
    73: "flock",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    85: "creat",
    86: "link",
    87: "unlink",
    88: "symlink",
    90: "chmod",
    91: "fchmod",
    257: "openat",
    258: "mkdirat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    266: "symlinkat",
    268: "fchmodat",
    280: "utimensat",
    285: "fallocate",
    296: "pwritev",
    316: "renameat2",
    326: "copy_file_range",
    424: "pidfd_send_signal",
}
SUPPORTED: Final = platform.machine() == "x86_64"
CHANGES: Final = frozenset(_LINUX_X86_64.values())

_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_TRACE_SYSGOOD, _TRACE_FORK, _TRACE_CLONE, _TRACE_EXEC, _EXIT_KILL = 1, 2, 8, 16, 0x100000
_WALL: Final = 0x40000000
_SYSCALL_STOP: Final = signal.SIGTRAP | 0x80
_ENTRY: Final = 1
_CLONE_THREAD: Final = 0x10000
_STDERR: Final = 2


class _SyscallInfo(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("nr", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class Watched(NamedTuple):
    """What became of a watched process: its wait status, and the calls by which it changed something, in order."""

    status: int
    calls: list[str]


def watch(
    main: Callable[[], None], *, kill_at: int | None, since: str | None, forked: Callable[[int], None]
) -> Watched:
    """Run ``main`` in a child and watch it to its end; ``forked`` gets the child's number before it begins.

    It is killed when it is about to make change number ``kill_at`` (from 1), counted from its first call of ``since``
    on, or from its beginning.  The caller must have one thread.
    """
    child = _begin(main, _TRACE_CLONE | _EXIT_KILL, forked)
    return _Watch(child, kill_at=kill_at, since=since, whole=True).to_the_end()


def watch_forked(main: Callable[[], None], *, kill_at: int | None, note: Callable[[str], object]) -> Watched:
    """Run ``main`` in a child, and watch what that forks instead of itself, one at a time, until ``main`` has ended.

    What it forks is killed, alone, when it is about to make change number ``kill_at`` (from 1) of all of them.
    ``note`` gets each change before it is made.
    """
    child = _begin(main, _TRACE_FORK | _TRACE_EXEC, lambda _: None)
    return _Watch(child, kill_at=kill_at, since=None, whole=False, note=note).to_the_end()


def _begin(main: Callable[[], None], options: int, forked: Callable[[int], None]) -> int:
    child = os.fork()
    if child == 0:
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            main()
        finally:
            os._exit(70)
    forked(child)
    os.waitpid(child, _WALL)
    _ptrace(_SETOPTIONS, child, _TRACE_SYSGOOD | options)
    _ptrace(_SYSCALL, child)
    return child


class _Watch:
    def __init__(
        self,
        child: int,
        *,
        kill_at: int | None,
        since: str | None,
        whole: bool,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._child = child
        self._note = note
        self._kill_at = kill_at
        self._since = since
        self._whole = whole  # what is watched is the child with its threads, not what it forks
        self._calls: list[str] = []
        self._known = {child}
        self._info = _SyscallInfo()

    def to_the_end(self) -> Watched:
        while True:
            process, status = os.waitpid(-1, _WALL)
            if not os.WIFSTOPPED(status):
                if process == self._child:
                    return Watched(status, self._calls)
                self._known.discard(process)  # its number may be given again
                continue
            number = os.WSTOPSIG(status)
            if number == _SYSCALL_STOP:
                if self._whole or process != self._child:
                    self._see_call(process)
                number = 0
            elif status >> 16 or process not in self._known:
                # An event; or the stop with which a new one begins, which may come before its event.
                self._known.add(process)
                number = 0
            _ptrace(_SYSCALL, process, number)

    def _see_call(self, process: int) -> None:
        size = ctypes.sizeof(self._info)
        if _libc.ptrace(_GET_SYSCALL_INFO, process, size, ctypes.addressof(self._info)) < 0 or self._info.op != _ENTRY:
            return
        name = _change(self._info.nr, self._info.args)
        if name is None or (self._since is not None and not self._calls and name != self._since):
            return
        self._calls.append(name)
        self._note(name)
        if len(self._calls) == self._kill_at:
            os.kill(self._child if self._whole else process, signal.SIGKILL)


def _change(nr: int, args: ctypes.Array[ctypes.c_uint64]) -> str | None:
    """The name of the call if it changes something."""
    name = _LINUX_X86_64.get(nr)
    match name:
        case "openat":
            return name if args[2] & os.O_CREAT else None
        case "clone":
            return None if args[0] & _CLONE_THREAD else name
        case "write":
            return None if args[0] == _STDERR else name  # its log
        case "sendto":
            return None if args[2] == 1 else name  # threads that wake the loop
        case _:
            return name


def _ptrace(request: int, process: int, data: int = 0) -> None:
    # A failure means that the process was killed meanwhile: its end is told by the next wait.
    _libc.ptrace(request, process, None, data)
