"""The client of rund: ``with runctl.connect() as rund: run = rund.run("train.py", flags={"lr": 0.1}); run.wait()``.

Where a flag has several values, ``rund.run`` makes a batch: ``batch.trials()``, ``batch.counts``.

``async with runctl.connect_async() as rund:`` has the same names, to be awaited.  Errors are those of `rund.errors`;
`NoDaemonError` is raised where no daemon answers.  What is asked for is loaded then: the command line is a part of this
package, and starts often.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.async_client import AsyncClient, connect_async
    from runctl.async_run import AsyncRun
    from runctl.client import Client, connect
    from runctl.failures import NoDaemonError
    from runctl.run import Run
    from rund.errors import (
        AmbiguousError,
        BusyError,
        ConflictError,
        FullError,
        InternalError,
        InvalidError,
        NotFoundError,
        RundError,
        UnsupportedError,
    )

__all__ = [
    "AmbiguousError",
    "AsyncClient",
    "AsyncRun",
    "BusyError",
    "Client",
    "ConflictError",
    "FullError",
    "InternalError",
    "InvalidError",
    "NoDaemonError",
    "NotFoundError",
    "Run",
    "RundError",
    "UnsupportedError",
    "connect",
    "connect_async",
]

_MODULES = {
    "AsyncClient": "runctl.async_client",
    "AsyncRun": "runctl.async_run",
    "Client": "runctl.client",
    "NoDaemonError": "runctl.failures",
    "Run": "runctl.run",
    "connect": "runctl.client",
    "connect_async": "runctl.async_client",
}


if not TYPE_CHECKING:  # which would take every name for one of this module's

    def __getattr__(name: str) -> object:
        """Load what is asked for; errors are in `rund.errors`."""
        if name not in __all__:
            raise AttributeError(f"module 'runctl' has no attribute {name!r}")
        module = __import__(_MODULES.get(name, "rund.errors"), fromlist=[name])
        value = globals()[name] = getattr(module, name)
        return value
