"""Facts: what an attempt left in its directory, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rund.model.run import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """Written before the trial is executed.  The start time is clock ticks since boot, as ``/proc/PID/stat`` has it."""

    token: str
    boot_id: str
    shim_pid: int
    shim_start_time: int
    grace: float  # seconds between SIGTERM and SIGKILL
    started: float  # seconds since 1970
    boottime: float  # seconds since boot, time asleep counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """The end of an attempt's main process, exactly as the kernel told it."""

    token: str
    boot_id: str
    wait_status: int  # raw, as wait(2) gives it
    exit_status: int | None
    signal: int | None
    core: bool  # it left a core dump
    exec_errno: int | None  # why it could not be executed
    exec_step: str | None  # what failed with ``exec_errno``: "cwd", "program", "python" or "interpreter"
    stopped: bool  # the shim had been told to stop it before
    usage: Usage  # of the trial and of those of its children that had ended
    started: float  # seconds since 1970
    ended: float
    boottime: float  # of the end


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """All that can be known of an attempt from its directory."""

    shim_alive: bool
    trial_alive: bool  # the trial, or a process that it handed its descriptors to
    started: StartRecord | None
    exit: ExitRecord | None
    same_boot: bool  # proven to be of the boot that runs now
    fault: str | None = None  # what went wrong in the shim, in its own words
    scalars: Mapping[str, float] = field(default_factory=dict)  # that it printed, if it has ended
    damaged: tuple[str, ...] = ()  # "FILE: what is wrong with it", for each file that could not be read
    revoked: bool = False  # it was taken back before it was begun: nothing of it ever runs
