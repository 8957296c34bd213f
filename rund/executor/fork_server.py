"""The fork server: one single-threaded process that forks shims from a warm interpreter.

Rules:

- It does nothing but fork and answer: what a shim does, it does in its own process.
- It opens the pidfd of a shim before that can be reaped, for it alone is the shim's parent.
- It ends when the daemon's end of its channel is closed, and leaves the shims alone.  No signal of a terminal reaches
  it, and it blocks all that can be blocked but SIGCHLD.

Run by `rund.executor.fork_client` as ``python -I -S -c ...``; every shim pays for what is imported here.
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence

from rund.executor.locks import boot_id
from rund.executor.shim import name_process, run_shim
from rund.executor.shim_request import ANSWER, FORKED_UNSEEN, LENGTH

_UNLIMITED = "-"


def main() -> None:
    """Serve the channel that the command line names, until its other end is closed."""
    channel_number, soft_nofile = sys.argv[-2:]
    if soft_nofile != _UNLIMITED:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = int(soft_nofile) if hard == resource.RLIM_INFINITY else min(int(soft_nofile), hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    name_process(b"rund-fork")
    os.chdir("/")
    boot_id()  # which is kept, once for all shims
    gc.disable()
    gc.freeze()
    with contextlib.suppress(ConnectionError):  # the daemon was killed while it sent or was answered
        ForkServer(socket.socket(fileno=int(channel_number))).serve()


class ForkServer:
    """Forks a shim for each request that comes by ``channel``."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._bell, self._ringer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGCHLD})
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ringer, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Return when the channel's other end is closed."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        while True:
            ready = {number for number, _ in poll.poll()}
            if self._bell in ready:
                _reap(self._bell)
            if self._channel.fileno() in ready:
                request = self._receive()
                if request is None:
                    return
                self._answer(*request)

    def _receive(self) -> tuple[bytes, int | None] | None:
        """The next request and the descriptor of its lock; None at the end."""
        length, lock = self._receive_length()
        body = bytearray()
        while length is not None and len(body) < length:
            part = self._channel.recv(length - len(body))
            if not part:
                return None
            body += part
        return None if length is None else (bytes(body), lock)

    def _receive_length(self) -> tuple[int | None, int | None]:
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, ancillary, _, _ = self._channel.recvmsg(LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
        locks = array.array("i")
        for _, _, passed in ancillary:
            locks.frombytes(passed)
        while data and len(data) < LENGTH.size:
            part = self._channel.recv(LENGTH.size - len(data))
            data = data + part if part else b""
        return (LENGTH.unpack(data)[0] if data else None), (locks[0] if locks else None)

    def _answer(self, body: bytes, lock: int | None) -> None:
        if lock is None:
            self._channel.sendall(ANSWER.pack(errno.EMFILE))
            return
        ends = _leash_ends()
        pid, fault = self._fork(body, lock, ends)
        os.close(lock)
        for end in ends[1:]:
            end.close()
        pidfd = None
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid) if pid else None
        if pidfd is None:
            self._channel.sendall(ANSWER.pack(fault or FORKED_UNSEEN))
        else:
            # The pidfd first: where there is room for one descriptor only, that is it.
            socket.send_fds(self._channel, [ANSWER.pack(0)], [pidfd, *(end.fileno() for end in ends[:1])])
            os.close(pidfd)
        for end in ends[:1]:
            end.close()

    def _fork(self, request: bytes, lock: int, ends: Sequence[socket.socket]) -> tuple[int, int]:
        """The shim's process number, or 0 and why there is none."""
        # With all signals blocked, a stop that comes before the shim can see to it waits for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid = os.fork()
            if pid == 0:
                self._become_shim(request, lock, ends)
        except OSError as error:
            return 0, error.errno or errno.EAGAIN
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        return pid, 0

    def _become_shim(self, request: bytes, lock: int, ends: Sequence[socket.socket]) -> None:
        try:
            for end in ends[:1]:
                end.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            os.close(self._bell)
            os.close(self._ringer)
            run_shim(request, lock, ends[1] if ends else None)
        finally:
            os._exit(1)  # whatever happens, there must be no second fork server


def _leash_ends() -> Sequence[socket.socket]:
    """The daemon's end of a leash and the shim's; none where there is no room for them: a shim does without."""
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        return ()


def _reap(bell: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(bell, 4096):
            pass
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
