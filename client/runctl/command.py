"""The command line ``runctl``: finds the command, runs it, and turns every fault into one line and an exit status."""

from __future__ import annotations

# First of all: Ctrl-C while modules are being loaded ends the process without a traceback.  The signal module itself
# costs more than all that it guards.
import _signal  # type: ignore[import-not-found]  # CPython's own, without stubs

_INTERRUPT = 2  # SIGINT
_handler = _signal.signal(_INTERRUPT, _signal.SIG_DFL)

import os  # noqa: E402
import sys  # noqa: E402

from runctl.failures import BROKEN_PIPE, INCOMPLETE, INTERRUPTED, exit_status  # noqa: E402
from runctl.screen import plain  # noqa: E402
from rund.errors import RundError  # noqa: E402

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(given: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and answer its exit status; raises nothing."""
    try:
        _open_streams()
        # With one that takes the owner's own rights away, nothing that is made could be opened again.
        os.umask(os.umask(0o077) & 0o077)
        from runctl.dispatch import dispatch

        _signal.signal(_INTERRUPT, _handler)

        status = dispatch(sys.argv[1:] if given is None else given)
        sys.stdout.flush()
    except RundError as error:
        return _fail(error.message, exit_status(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", INCOMPLETE)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        return _fail(_fault(error), INCOMPLETE)
    return status


def _fault(error: Exception) -> str:
    """What to tell of an error that nobody expected: where a daemon has answered, most likely it is of the answer."""
    from runctl.exchange import Exchange

    what = f"{type(error).__name__}: {error}"
    if not Exchange.has_answered or not isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return f"a fault of runctl itself, please report it: {what}"
    return (
        f"the daemon answered something else than expected ({what}): is it of another version? `runctl daemon stop`"
        " ends it, and the next command starts one of this; if it was of this already, please report it"
    )


def _open_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    Otherwise their descriptors would be the next that are opened: a socket, say.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - pathlib costs; open till the end


def _fail(message: str, status: int) -> int:
    line = plain(" ".join(message.split("\n")))
    try:
        sys.stderr.write(f"runctl: {line}\n")
        sys.stdout.flush()
    except (OSError, ValueError, KeyboardInterrupt):
        return _leave_quietly(status)
    return status


def _leave_quietly(status: int = BROKEN_PIPE) -> int:
    """Let the interpreter's end find nothing to write to a reader that is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return status
