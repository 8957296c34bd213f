"""The daemon's side of the fork server: starts it on demand, hands it attempts, takes shims."""

from __future__ import annotations

import array
import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import rund
from rund.executor.shim_request import ANSWER, FORKED, FORKED_UNSEEN, LENGTH
from rund.executor.shims import Shim

_PATIENCE: Final = 30.0  # seconds for one answer; a fork server that takes longer is given up
# Requests that are sent before an answer is read.  The system's buffers have room for two hundred answers: were there
# more, the server would wait to write one, and this to write a request.
_AHEAD: Final = 32
_END_PATIENCE: Final = 5.0  # seconds for its end when its channel is closed
_CODE: Final = "import sys; sys.path.append(sys.argv[1]); from rund.executor.fork_server import main; main()"
_ROOT: Final = str(Path(rund.__file__).resolve().parent.parent)


class RefusedError(Exception):
    """No shim was forked, and that is certain; the message says why."""


class UnknownOutcomeError(Exception):
    """A shim may have been forked; the attempt's files tell."""


class _NoServerError(Exception):
    """There is no fork server, and nothing was sent to one; the message says why."""


class ForkClient:
    """One fork server, started when it is first needed and again if it died.  Not for several threads at once."""

    def __init__(self, *, launcher: Sequence[str] = (), soft_nofile: int | None = None) -> None:
        """``launcher`` is put before the server's command; ``soft_nofile`` is the limit of descriptors of trials."""
        self._launcher = tuple(launcher)
        self._soft_nofile = soft_nofile
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Of the fork server, None while there is none."""
        return self._process.pid if self._process is not None else None

    def fork_shims(
        self, requests: Sequence[tuple[bytes, int]], *, leashes: int
    ) -> list[Shim | RefusedError | UnknownOutcomeError]:
        """Have a shim forked for each request that holds the lock beside it; answers the shims, or why there is none.

        The locks are closed.  At most so many ``leashes`` are taken: of the other shims they are closed unseen.
        """
        left = [lock for _, lock in requests]  # each keeps a place for a pidfd: one that cannot be received is lost
        outcomes: list[Shim | RefusedError | UnknownOutcomeError] = []
        try:
            channel = self._running()
            unsent = iter(requests)
            for request, lock in itertools.islice(unsent, _AHEAD):
                _send(channel, request, lock)
            while left:
                channel.recv(ANSWER.size, socket.MSG_PEEK)
                os.close(left.pop(0))
                outcomes.append(self._received(channel, leash=leashes > 0))
                leashes -= 1
                for request, lock in itertools.islice(unsent, 1):
                    _send(channel, request, lock)
        except _NoServerError as error:
            outcomes += [RefusedError(str(error)) for _ in requests]
        except OSError:
            self._give_up()
        for lock in left:
            os.close(lock)
        return outcomes + [UnknownOutcomeError() for _ in requests[len(outcomes) :]]

    def close(self) -> None:
        """End the fork server; shims are left alone."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            try:
                self._process.wait(_END_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _running(self) -> socket.socket:
        """The channel to a server that runs; raises `_NoServerError`."""
        try:
            return self._ready()
        except OSError as error:
            reason = str(error.strerror or error).lower()
            raise _NoServerError(f"could not start a process for it: {reason}") from None

    def _ready(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._give_up()
        if self._channel is None:
            self._start()
        assert self._channel is not None  # noqa: S101 - for the type checker: it was just made
        return self._channel

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as on_failure:
            on_failure.enter_context(ours)
            ours.settimeout(_PATIENCE)
            number = theirs.fileno()
            soft_nofile = "-" if self._soft_nofile is None else str(self._soft_nofile)
            python = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _CODE, _ROOT]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [*self._launcher, *python, str(number), soft_nofile],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # shims must hold nothing that the daemon's own output goes to
                pass_fds=[number],
                start_new_session=True,
            )
            on_failure.pop_all()
        self._channel = ours

    def _received(self, channel: socket.socket, *, leash: bool) -> Shim | RefusedError | UnknownOutcomeError:
        """The next answer; raises `OSError` if there will be none."""
        # Not CMSG_SPACE: what that adds to one would be room for a second.
        room = socket.CMSG_LEN((2 if leash else 1) * array.array("i").itemsize)
        data, ancillary, _, _ = channel.recvmsg(ANSWER.size, room, socket.MSG_CMSG_CLOEXEC)
        if len(data) != ANSWER.size:
            raise ConnectionResetError
        answer = ANSWER.unpack(data)[0]
        descriptors = array.array("i")
        for _, _, passed in ancillary:
            descriptors.frombytes(passed)
        if answer == FORKED and descriptors:
            # Where there was room for one, it is the pidfd, and the leash is closed.
            pidfd, *leashes = descriptors
            return Shim(pidfd, socket.socket(fileno=leashes[0]) if leashes else None)
        if answer in (FORKED, FORKED_UNSEEN):
            return UnknownOutcomeError()
        return RefusedError(f"could not start a process for it: {os.strerror(answer).lower()}")

    def _give_up(self) -> None:
        """Make sure that the server is gone, and with it what it holds of the locks that were sent to it."""
        if self._process is not None:
            self._process.kill()
        self.close()


def _send(channel: socket.socket, request: bytes, lock: int) -> None:
    socket.send_fds(channel, [LENGTH.pack(len(request))], [lock])
    channel.sendall(request)
