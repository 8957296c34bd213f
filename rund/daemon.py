"""The composition root: opens the home, takes back what ran, listens, and stops."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio

from rund.broker import Broker
from rund.clock import now
from rund.executor.executor import Executor
from rund.executor.launch import Launcher
from rund.executor.local import LocalBackend
from rund.handlers.context import Context
from rund.handlers.dispatch import Dispatcher
from rund.home import check_file_system, locked_home
from rund.server.limits import ServerLimits
from rund.server.listener import inherited_listener, listen, remove
from rund.server.serve import serve
from rund.settings import Settings
from rund.store.cleaning import remove_garbage
from rund.store.directories import Directories
from rund.store.store import Store, prepare

_DESCRIPTORS = 65_536
_CLOSING = 10.0  # seconds that closing may take

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Be the daemon of a home until told to stop.

    Raises `rund.errors.RundError` where it cannot be: another daemon has the home, or the home cannot be used.
    """
    directories = Directories(settings.home)
    directories.make()
    check_file_system(settings.home)
    soft_nofile = _raise_descriptor_limit()
    with locked_home(directories.lock):
        prepare(directories)
        directories.remove_halves()
        anyio.run(_serve, settings, directories, soft_nofile)


async def _serve(settings: Settings, directories: Directories, soft_nofile: int) -> None:
    broker = Broker()
    stopping = anyio.Event()
    limits = ServerLimits()
    async with _open_store(directories, broker) as store, LocalBackend(soft_nofile=soft_nofile) as backend:
        launcher = Launcher(directories, socket=str(settings.socket), grace=settings.grace)
        executor = Executor(store, backend, broker, launcher, slots=settings.slots)
        context = Context(
            store=store,
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
            shut_down=stopping.set,
        )
        await executor.recover()
        await remove_garbage(store)
        with _listening(settings.socket, directories.socket_file) as listener:
            _log.info("rund serves %s at %s with %d slots", settings.home, settings.socket, settings.slots)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch_signals, stopping)
                tasks.start_soon(executor.run)
                tasks.start_soon(_serve_clients, listener, Dispatcher(context), limits)
                await stopping.wait()
                _log.info("stopping; runs go on")
                tasks.cancel_scope.cancel()


async def _serve_clients(listener: socket.socket, dispatcher: Dispatcher, limits: ServerLimits) -> None:
    await serve(listener, dispatcher, limits=limits)


async def _watch_signals(stopping: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stopping.set()


@contextlib.asynccontextmanager
async def _open_store(directories: Directories, broker: Broker) -> AsyncIterator[Store]:
    store = Store(directories, broker.ring)
    try:
        yield store
    finally:
        with anyio.move_on_after(_CLOSING, shield=True):
            await store.close()


@contextlib.contextmanager
def _listening(path: Path, note: Path) -> Iterator[socket.socket]:
    """The daemon's socket; the file ``note`` tells clients where it is."""
    inherited = inherited_listener(os.environ)
    listener = inherited or listen(path)
    try:
        _write_whole(note, f"{path}\n")
        yield listener
    finally:
        if inherited is None:
            remove(path, listener)
        listener.close()


def _write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: a reader finds the old text or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).rename(path)


def _raise_descriptor_limit() -> int:
    """Take as many descriptors as may be had, for a running run costs one; answers how many runs are to have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft
