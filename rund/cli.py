"""The command ``rund``: arguments, then the daemon."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from rund import __version__
from rund.errors import BusyError, InternalError, InvalidError, RundError, UnsupportedError

if TYPE_CHECKING:
    from rund.settings import Settings

REFUSED: Final = 78  # EX_CONFIG of sysexits.h: to start it again as it stands does not help
_LASTING: Final = (BusyError, InvalidError, UnsupportedError)
_EPILOG = """\
example:
  rund                    serve the home until stopped with Ctrl-C or SIGTERM; runs go on without it
  RUND_SLOTS=2 rund       at most two runs at once

Clients start a daemon by themselves where none answers: see runctl --help.
As a service of systemd: runctl service install.
"""


def main() -> int:
    """Run the daemon; answers the exit status.

    0 stopped; 1 it could not serve, and may be able to later; 2 wrong usage; 78 it cannot serve until somebody changes
    something: the settings, or the daemon that has the home.  75, from `rund.daemon.run`: it was told to stop, and has,
    though the disk had not taken all that was to be written.
    """
    if not sys.platform.startswith("linux"):
        print(f"rund: runs on Linux 5.4 and later, not on {sys.platform}", file=sys.stderr)  # noqa: T201
        return 1
    _open_streams()
    # With one that takes the owner's own rights away, nothing that is made could be opened again.
    os.umask(os.umask(0o077) & 0o077)
    # They need Linux.
    from rund import daemon, settings
    from rund.log import set_up_log
    from rund.server.listener import inherited_listener
    from rund.server.turning_away import turn_all_away
    from rund.systemd import ServiceManager, take_environment
    from rund.threads import is_short_of_threads

    given = take_environment(os.environ)
    listener = None
    set_up_log()
    faulthandler.enable(2)  # a watchdog ends what hangs by SIGABRT: the log then shows where it hung
    try:
        listener = inherited_listener(given)
        found = settings.read_settings(os.environ)
        _parser(found).parse_args()
        daemon.run(found, ServiceManager(given), listener)
    except RundError as error:
        refusal = error
    except OSError as error:
        refusal = InternalError(f"{error.strerror or error}: {error.filename or 'the home'}")
    except RuntimeError as error:
        if not is_short_of_threads(error):
            raise
        refusal = InternalError("no thread can be started: end some processes, or raise their limit (ulimit -u)")
    else:
        _leave_threads()
        return 0
    print(f"rund: {refusal.message}", file=sys.stderr)  # noqa: T201 - what a person reads, not the log
    if listener is not None:
        turn_all_away(listener, refusal)
    return REFUSED if isinstance(refusal, _LASTING) else 1


def _leave_threads() -> None:
    """End now if a thread hangs in some folder of a client's: the interpreter would wait for it."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        os._exit(0)


def _open_streams() -> None:
    """Give a daemon that was started without standard streams some that lead nowhere.

    Otherwise what it opens next would have their numbers, and the log would be written into that.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one


def _parser(found: Settings) -> argparse.ArgumentParser:
    rows = found.rows()
    width = max(len(row["name"]) for row in rows)
    lines = [f"  {row['name']:{width}}  {row['value']}  ({row['origin']}): {row['help']}" for row in rows]
    text = "settings now, and where they come from:\n" + "\n".join(lines)
    hint = f"\n\nSet them in {found.config}, or by RUND_NAME in the environment.\n\n"
    parser = argparse.ArgumentParser(
        prog="rund",
        description="The daemon that owns a store of runs and executes them. It stays in the foreground.",
        epilog=text + hint + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rund {__version__}")
    return parser
