"""The files that a shim keeps in its attempt's directory.

The shim loads this: nothing slow is imported here.
"""

from __future__ import annotations

import fcntl
import os

from rund.executor.framing import EXIT, OUTPUT, RECORD_SIZE, STARTED, STARTED_SIZE, TRIAL_LOCK, frame_fields
from rund.executor.locks import MODE


class AttemptFiles:
    """The open files of one attempt; the exit record's place on the disk is taken before anything runs."""

    def __init__(self, directory: str) -> None:
        """Make them; raises `OSError` if that cannot be done."""
        self.directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._exit = self._make(EXIT, os.O_RDWR)
        os.posix_fallocate(self._exit, 0, RECORD_SIZE)
        self.trial_lock = self._make(TRIAL_LOCK, os.O_RDWR)
        # It waits: who looks whether the lock is held has it for an instant.
        fcntl.flock(self.trial_lock, fcntl.LOCK_EX)
        self.output = self._make(OUTPUT, os.O_WRONLY | os.O_APPEND)

    def release_to_trial(self) -> None:
        """Close what the trial alone is to hold from now on."""
        os.close(self.trial_lock)

    def close(self) -> None:
        """Close what is still open."""
        os.close(self.output)
        os.close(self._exit)
        os.close(self.directory)

    def write_start(self, fields: dict[str, object]) -> None:
        """Write ``started``, whole or not at all; proof against the death of processes, not against lost power."""
        temporary = f"{STARTED}.new"
        descriptor = self._make(temporary, os.O_WRONLY)
        try:
            os.write(descriptor, frame_fields(fields))
        finally:
            os.close(descriptor)
        os.rename(temporary, STARTED, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        # Only now, so that it is never there without the record; and by its size, which needs no room on the disk.
        try:
            os.ftruncate(self.trial_lock, STARTED_SIZE)
        except OSError:
            os.unlink(STARTED, dir_fd=self.directory)  # nothing was executed, and that is to be seen
            raise

    def withdraw_start(self) -> None:
        """Take ``started`` back: nothing was executed, and that is certain."""
        os.ftruncate(self.trial_lock, 0)
        os.unlink(STARTED, dir_fd=self.directory)

    def write_exit(self, fields: dict[str, object]) -> None:
        """Write ``exit``, durably; raises `OSError` if the disk does not take it now."""
        os.pwrite(self._exit, frame_fields(fields), 0)
        os.fsync(self._exit)
        os.fsync(self.directory)

    def _make(self, name: str, flags: int) -> int:
        flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, MODE, dir_fd=self.directory)
