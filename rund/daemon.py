"""The composition root: opens the home, takes back what ran, listens, and stops."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import math
import os
import signal
import sys
import threading
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from rund.broker import Broker
from rund.clock import go_on_after, now
from rund.descriptors import Descriptors, take_descriptors
from rund.door import Door
from rund.errors import FullError, InternalError, RundError
from rund.executor.executor import Executor
from rund.executor.launch import Launcher
from rund.executor.local import LocalBackend
from rund.handlers.backup import back_up_daily
from rund.handlers.context import Context
from rund.handlers.dispatch import Dispatcher
from rund.handlers.leaving import Leaving
from rund.handlers.preparing import open_preparing
from rund.heart import beat
from rund.home import check_file_system, check_length, locked_home
from rund.log import bound_log
from rund.operations.source import Sources
from rund.server.limits import ServerLimits
from rund.server.listener import Listener
from rund.server.serve import open_server
from rund.settings import Settings
from rund.signals import StopSignals
from rund.store.cleaning import clean_up, note_leftovers
from rund.store.directories import Directories
from rund.store.store import Store, prepare
from rund.systemd import ServiceManager

_CLOSING = 10.0  # seconds that closing may take
UNWRITTEN = 75  # EX_TEMPFAIL of sysexits.h: the exit status of a daemon that was told to stop, and had to give up

# Seconds that the loop waits for a thread that computes, and a thread for the loop.  A read asks for its turn at each
# row: with the usual 0.005 one that has to do for half a millisecond took a hundred beside a large message.
_SWITCH = 0.0002
# When the collector of rings looks at what is new, and, so many times rarer each, at what is older and at all: it holds
# up everybody meanwhile.  The usual (700, 10, 10) has it look at all that ten clients hold several times a second, and
# hardly ever find a ring: what ends here breaks its own.
_COLLECTED = (5_000, 20, 50)
_M_ARENA_MAX = -8  # mallopt(3)

_log = logging.getLogger(__name__)


def run(settings: Settings, manager: ServiceManager, inherited: Listener | None = None) -> None:
    """Be the daemon of a home until told to stop.

    ``inherited`` is the socket that ``manager``, the service manager, handed over.  Raises `rund.errors.RundError`
    where it cannot be: another daemon has the home, or the home cannot be used.
    """
    if inherited is not None:
        settings = replace(settings, socket=Path(inherited.getsockname()), socket_origin="the socket unit")
    sys.setswitchinterval(_SWITCH)
    _use_one_arena()
    directories = Directories(settings.home)
    check_length(settings.home)
    check_file_system(settings.home)
    directories.make()
    descriptors = take_descriptors()
    with contextlib.closing(StopSignals(_end_in_time)) as signals, locked_home(directories.lock):
        prepare(directories, partial(manager.needs_longer, "brings the store up to date"))
        try:
            anyio.run(partial(_serve, settings, directories, manager, inherited, signals, descriptors=descriptors))
        except BaseExceptionGroup as group:
            raise _only(group) from group


def _only(error: BaseException) -> BaseException:
    """What went wrong, without the task groups around it; the first, where it is several of the machine's faults."""
    while isinstance(error, BaseExceptionGroup) and (
        len(error.exceptions) == 1 or error.split((OSError, RundError))[1] is None
    ):
        error = error.exceptions[0]
    return error


async def _serve(
    settings: Settings,
    directories: Directories,
    manager: ServiceManager,
    inherited: Listener | None,
    signals: StopSignals,
    *,
    descriptors: Descriptors,
) -> None:
    broker = Broker()
    limits = ServerLimits(clients=descriptors.clients)
    async with (
        _open_store(directories, broker) as store,
        _backend(settings, descriptors) as backend,
        open_preparing() as preparing,
    ):
        launcher = Launcher(
            directories,
            socket=str(settings.socket),
            grace=settings.grace,
            slots=settings.slots,
            output_limit=settings.output_limit,
        )
        executor = Executor(store, backend, broker, launcher, slots=settings.slots, most=descriptors.runs)
        leaving = Leaving(store, broker, executor.may_start)
        context = Context(
            store=store,
            sources=Sources(directories.sources_folder),
            broker=broker,
            slots=settings.slots,
            home=str(settings.home),
            socket=str(settings.socket),
            pid=os.getpid(),
            started=now(),
            settings=settings.rows(),
            limits={"message_bytes": limits.message.message_bytes, "list": 10_000, "in_flight": limits.in_flight},
            now=now,
            new_id=lambda: uuid.uuid4().hex,
            leaving=leaving,
            preparing=preparing,
        )
        manager.starting("takes back what runs")
        go_on_after(await store.read(lambda reader: reader.newest_time()))
        halves = await _tidied(store)
        await executor.recover()
        door = Door(settings.socket, directories.socket_file, inherited)
        gc.set_threshold(*_COLLECTED)
        gc.collect()
        gc.freeze()  # what is there now stays, and need not be looked at again
        with door.open():
            # Not before: who started it looks for the last line of the file that it has opened.
            bound_log(directories.daemon_log)
            _log.info("rund serves %s at %s with %d slots", settings.home, settings.socket, settings.slots)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch_signals, signals, leaving)
                tasks.start_soon(leaving.see_runs_out)
                tasks.start_soon(executor.run)
                tasks.start_soon(clean_up, store, halves)
                tasks.start_soon(partial(back_up_daily, store, keep=settings.backups))
                tasks.start_soon(_serve_clients, door, Dispatcher(context), limits, leaving)
                if manager.watchdog is not None:
                    tasks.start_soon(beat, manager.alive, manager.watchdog / 2, store, executor)
                manager.ready(f"serves {settings.home} with {settings.slots} slots")
                try:
                    await leaving.told.wait()
                    manager.stopping("stops; runs go on")
                    _log.info("stopping; runs go on")
                finally:  # also where the home is gone
                    _end_in_time()
                    preparing.end()
                tasks.cancel_scope.cancel()


async def _serve_clients(door: Door, dispatcher: Dispatcher, limits: ServerLimits, leaving: Leaving) -> None:
    async with open_server(dispatcher, limits=limits, is_closing=lambda: leaving.by_client) as server:
        await door.serve(server)


def _use_one_arena() -> None:
    """Have all threads allocate from one arena of the C library, where it has such: each would keep what it freed."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _backend(settings: Settings, descriptors: Descriptors) -> LocalBackend:
    return LocalBackend(soft_nofile=descriptors.soft, output_limit=settings.output_limit, leashes=descriptors.leashes)


async def _tidied(store: Store) -> list[Path]:
    """Forget and note what earlier daemons left; answers the half made copies.  A bad disk hinders no start."""
    try:
        await store.write(lambda transaction: transaction.forget_old_events(now()))
        return await note_leftovers(store)
    except (FullError, InternalError) as error:
        _log.warning("%s", error.message)
        return []


async def _watch_signals(signals: StopSignals, leaving: Leaving) -> None:
    await signals.wait()
    leaving.told.set()


@contextlib.asynccontextmanager
async def _open_store(directories: Directories, broker: Broker) -> AsyncIterator[Store]:
    store = Store(directories, broker.ring)
    try:
        yield store
    finally:
        with anyio.move_on_after(_CLOSING, shield=True) as scope:
            await store.close()
        if scope.cancelled_caught:
            _give_up(status=1)  # a thread that hangs would keep the process


def _end_in_time() -> None:
    """See that the process ends, whatever hangs: what was not written was not answered either."""
    timer = threading.Timer(_CLOSING, _give_up, kwargs={"status": UNWRITTEN})
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:  # no thread can be started: the system ends it then, and nobody is told why
        signal.alarm(math.ceil(_CLOSING))


def _give_up(*, status: int) -> None:
    _log.error("the daemon ends although something is still written or read: it had %g s to end in order", _CLOSING)
    os._exit(status)
